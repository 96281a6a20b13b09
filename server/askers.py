"""By which number the reads of a connection stand in the access log.

A connection has a number of its own, until it goes by a name (CLIENT SETNAME,
PREDICTOR SESSION): one name is one number, wherever it is used. A connection without
one counts, beside, for the address that it comes from: the host without its port, of
IPv6 the network of 64 bits, which is one customer's. While an address is set aside
(`predictor/walkers.py`) its number stands for all its connections without a name,
also for those that are made later.

What this file does not do: decide who is set aside.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Any

from antecache.server.accesslog import (
    ADDRESS_SESSION,
    DECLARED_SESSION,
    NAMED_SESSION,
    AccessLog,
)


def host_of(address: str) -> str:
    """The host of `host:port` or `[host]:port`; of IPv6 its network; empty for a Unix socket."""
    if address.startswith("["):
        host = address[1:].partition("]")[0].partition("%")[0]
        mapped = IPv6Address(host).ipv4_mapped
        return str(mapped or IPv6Address(int(IPv6Address(host)) >> 64 << 64))
    host, _, port = address.rpartition(":")
    return host if port != "0" else ""


def address_number(address: str) -> int:
    """The number of the host that a connection comes from; 0 when it has none."""
    host = host_of(address)
    return crc32(host.encode()) | ADDRESS_SESSION if host else 0


class Askers:
    """The connections, and the numbers that they go by.

    clients  the connections by their own numbers
    current  the connection whose accesses are being logged, or None
    """

    def __init__(
        self, clients: Mapping[int, Any], access: AccessLog, current: Callable[[], Any]
    ) -> None:
        self._clients = clients
        self._access = access
        self._current = current
        self._hosts: dict[int, str] = {}  # of the addresses that are set aside

    def home_of(self, number: int) -> int:
        """The number of a connection's address; 0 when it has none, or a name."""
        session = self._clients.get(number)
        return 0 if session is None else address_number(session.address)

    def number_of(self, session: Any) -> int:
        """What a connection without a name goes by, as it stands in the log."""
        if self._hosts:
            home = address_number(session.address)
            if home in self._hosts:
                self._hosts[home] = host_of(session.address)
                return self._access.shown(home)
        return self._access.shown(session.id)

    def set_aside(self, number: int) -> None:
        """Somebody is set aside, or no longer is: tell the connections apart from now on."""
        access = self._access
        if number >= ADDRESS_SESSION:
            self._set_address_aside(number)
        for session in self._clients.values():
            if session.log_id in (number, ~number):
                session.log_id = access.shown(number)
        current = self._current()
        if current is not None and current.log_id != access.session:
            access.enter(max(current.log_id, ~current.log_id))

    def _set_address_aside(self, number: int) -> None:
        if number not in self._access.aside:
            self._hosts.pop(number, None)
        members = [one for one in self._clients.values() if address_number(one.address) == number]
        if number in self._access.aside:  # its last connection may be gone already
            self._hosts[number] = host_of(members[0].address) if members else ""
        for session in members:
            if not is_named(session.log_id):
                session.log_id = self.number_of(session)

    def described(self, number: int) -> bytes:
        """Who somebody is that was set aside; of a name only a digest is kept."""
        if number >= ADDRESS_SESSION:
            return b"address %s" % self._hosts.get(number, "").encode()
        if number < NAMED_SESSION:
            return b"client %d" % number
        return b"name %08x" % (number & 0xFFFFFFFF)


def is_named(log_id: int, *, declared: bool = False) -> bool:
    """Whether a number as it stands in the log is that of a name, or of a `declared` one only."""
    first = DECLARED_SESSION if declared else NAMED_SESSION
    return first <= max(log_id, ~log_id) < ADDRESS_SESSION
