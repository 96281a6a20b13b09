"""Where clients connect: TCP, TLS and a Unix socket, whichever are configured.

One `Listeners` opens all of them or none, because a server that answers on half
of its addresses is worse than one that says why it cannot start. Names and
meanings of the settings are Redis's: https://redis.io/docs/latest/operate/oss_and_stack/management/security/encryption/

What this file does not do: know what happens on a connection (`session.py`), or
decide who may use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from antecache.server.config import Config
from antecache.server.errors import ConfigError

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
VERIFY = {"yes": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "no": ssl.CERT_NONE}

Factory = Callable[[], asyncio.BaseProtocol]


class Place(NamedTuple):
    """One address listened on: `kind` is tcp, tls or unix; `port` is 0 for the last."""

    kind: str
    bind: str
    port: int


class Listeners:
    """The open listeners. `port` and `tls_port` are the ones really listened on, 0 for none."""

    def __init__(self, config: Config, factory: Factory) -> None:
        self._config = config
        self._factory = factory
        self._servers: list[asyncio.Server] = []
        self._socket: Path | None = None
        self.places: list[Place] = []

    async def open(self) -> None:
        """Listen wherever the settings say. Raises ConfigError, or OSError that says where."""
        config = self._config
        context = tls_context(config) if config.tls_port else None
        try:
            if config.port or not (config.tls_port or config.unixsocket):
                await self._listen("tcp", config.port, None)
            if context is not None:
                await self._listen("tls", config.tls_port, context)
            if config.unixsocket:
                await self._listen_unix(Path(config.unixsocket))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Listen no more; the connections that are open stay."""
        for server in self._servers:
            server.close()
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)
            self._socket = None

    def _port_of(self, kind: str) -> int:
        return next((place.port for place in self.places if place.kind == kind), 0)

    @property
    def port(self) -> int:
        """The port without TLS."""
        return self._port_of("tcp")

    @property
    def tls_port(self) -> int:
        """The port with TLS."""
        return self._port_of("tls")

    async def _listen(self, kind: str, port: int, context: ssl.SSLContext | None) -> None:
        config = self._config
        loop = asyncio.get_running_loop()
        for host in config.host.split() or ["127.0.0.1"]:
            with _saying_where(f"{host}:{port}"):
                server = await loop.create_server(
                    self._factory,
                    None if host == "*" else host,
                    port,
                    backlog=config.tcp_backlog,
                    ssl=context,
                )
            self._servers.append(server)
            # Where the system chose the port, the other addresses get the same.
            port = server.sockets[0].getsockname()[1]
            self.places.append(Place(kind, host, port))

    async def _listen_unix(self, path: Path) -> None:
        config = self._config
        with _saying_where(str(path)):
            server = await asyncio.get_running_loop().create_unix_server(
                self._factory, str(path), backlog=config.tcp_backlog
            )
            self._servers.append(server)
            self._socket = path
            if permissions := int(config.unixsocketperm, 8):
                path.chmod(permissions)
        self.places.append(Place("unix", str(path), 0))


def tls_context(config: Config) -> ssl.SSLContext:
    """What the tls-* settings mean; raises ConfigError that names the setting."""
    if not config.tls_cert_file:
        raise ConfigError("tls-cert-file: tls-port is set, but there is no certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    versions = sorted(VERSIONS[word] for word in config.tls_protocols.split() or VERSIONS)
    context.minimum_version, context.maximum_version = versions[0], versions[-1]
    with _blaming("tls-cert-file"):
        context.load_cert_chain(
            config.tls_cert_file,
            config.tls_key_file or None,
            # A function, or OpenSSL would ask on the terminal.
            lambda: config.tls_key_file_pass,
        )
    if config.tls_ciphers:
        with _blaming("tls-ciphers"):
            context.set_ciphers(config.tls_ciphers)
    context.verify_mode = VERIFY[config.tls_auth_clients]
    if config.tls_ca_cert_file or config.tls_ca_cert_dir:
        with _blaming("tls-ca-cert-file"):
            context.load_verify_locations(
                config.tls_ca_cert_file or None, config.tls_ca_cert_dir or None
            )
    elif context.verify_mode != ssl.CERT_NONE:
        raise ConfigError(
            "tls-ca-cert-file: clients must show a certificate (tls-auth-clients), "
            "but nothing says who signs them"
        )
    return context


@contextlib.contextmanager
def _saying_where(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(error.errno, f"cannot listen on {place}: {reason}") from error


@contextlib.contextmanager
def _blaming(setting: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{setting}: {error}") from None
