"""TLS, the Unix socket and several addresses: stock clients connect where the settings say."""

from __future__ import annotations

import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import trustme

from antecache.server.app import Server
from antecache.server.errors import ConfigError

Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Certificates of an authority, of the server and of a client, and of a stranger."""
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, issuer, identity in (
        ("server", authority, "localhost"),
        ("client", authority, "app@example.org"),
        ("other", stranger, "app@example.org"),
    ):
        issuer.issue_cert(identity).private_key_and_cert_chain_pem.write_to_path(
            tmp_path / f"{name}.pem"
        )
    return {path.stem: str(path) for path in tmp_path.glob("*.pem")}


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tls(files: dict[str, str], port: int, **more: Any) -> dict[str, Any]:
    return {
        "tls_port": port,
        "tls_cert_file": files["server"],
        "tls_ca_cert_file": files["ca"],
        **more,
    }


async def ask(port: int, files: dict[str, str], client: str | None) -> Any:
    """What a client with this certificate reads over TLS."""
    certificate = {"ssl_certfile": files[client], "ssl_keyfile": files[client]} if client else {}
    async with redis.asyncio.Redis(
        host="localhost", port=port, ssl=True, ssl_ca_certs=files["ca"], **certificate
    ) as connection:
        await connection.set("k", b"v" * 100_000)
        value = await connection.get("k")
        assert value == b"v" * 100_000
        return await connection.info("server")


async def test_a_client_with_a_certificate_is_served_over_tls(
    serve: Serve, files: dict[str, str], port: int
) -> None:
    await serve(**tls(files, port))
    info = await ask(port, files, "client")
    assert info["listener0"]["name"] == "tls"
    assert info["listener0"]["port"] == port
    assert info["tcp_port"] == 0, "there is no port without TLS unless one is set"


@pytest.mark.parametrize("client", [None, "other"])
async def test_no_certificate_or_a_strangers_is_refused(
    serve: Serve, files: dict[str, str], port: int, client: str | None
) -> None:
    server = await serve(**tls(files, port))
    with pytest.raises((redis.ConnectionError, OSError)):
        await ask(port, files, client)
    assert not server.clients


@pytest.mark.parametrize("wanted", ["no", "optional"])
async def test_certificates_may_be_left_to_the_clients(
    serve: Serve, files: dict[str, str], port: int, wanted: str
) -> None:
    await serve(**tls(files, port, tls_auth_clients=wanted))
    assert await ask(port, files, None)


async def test_plain_text_on_the_tls_port_is_closed_and_the_server_goes_on(
    serve: Serve, files: dict[str, str], port: int
) -> None:
    await serve(**tls(files, port))
    with pytest.raises(redis.ConnectionError):
        async with redis.asyncio.Redis(port=port) as client:
            await client.ping()
    assert await ask(port, files, "client")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tls_cert_file": ""}, "tls-cert-file: tls-port is set, but there is no certificate"),
        ({"tls_cert_file": "/nowhere.pem"}, "tls-cert-file: .*No such file"),
        ({"tls_ca_cert_file": ""}, "tls-ca-cert-file: clients must show a certificate"),
        ({"tls_ciphers": "none such"}, "tls-ciphers: .*cipher"),
    ],
)
async def test_what_cannot_be_used_is_named(
    serve: Serve, files: dict[str, str], port: int, change: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        await serve(**tls(files, port, **change))


async def test_a_unix_socket_has_its_permissions_and_is_removed(
    serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "antecache.sock"
    server = await serve(unixsocket=str(path), unixsocketperm="700", host="192.0.2.1", port=0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    async with redis.asyncio.Redis(unix_socket_path=str(path)) as client:
        assert await client.set("k", "v")
        info = await client.client_info()
        assert info["addr"] == info["laddr"] == f"{path}:0"
        listener = (await client.info("server"))["listener0"]
        assert (listener["name"], listener["bind"]) == ("unix", str(path))
    await server.stop()
    assert not path.exists()


async def test_several_addresses(serve: Serve) -> None:
    server = await serve(host="127.0.0.1 127.0.0.2")
    for host in ("127.0.0.1", "127.0.0.2"):
        async with redis.asyncio.Redis(host=host, port=server.port) as client:
            assert await client.ping()


async def test_a_taken_address_is_named_and_nothing_stays_open(
    serve: Serve, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already"):
            await serve(port=port, unixsocket=str(tmp_path / "s"))
    assert not (tmp_path / "s").exists()
