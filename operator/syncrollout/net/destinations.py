"""Where the operator may go because a rollout says so: to a Prometheus, a Service that is probed, an Alertmanager, a
channel of messages.

The operator stands where its users do not: beside a cloud's metadata, in a pod with sidecars, on the API server's
network. Whoever writes a rollout must not reach through it what they do not reach themselves. So every connection that
a rollout names is opened through `Destinations`, by the address that it is really opened to: a name is looked up once,
what it leads to is judged, and the connection goes to that very address. A name that leads elsewhere a moment later
(DNS rebinding) gains nothing by it.

    in this order
    1  --refuse-destination names the host, the address or its network       refused
    2  the API server's own address and port                                 refused, unless exactly that is allowed
    3  --allow-destination names the address or its network                  may be called
    4  loopback, link-local, unspecified, multicast, metadata of clouds      refused
    5  --allow-destination is not given, or names the host                   may be called
    6  all else                                                              refused

A name that is allowed lifts none of 2 and 4: where a name leads is for whoever owns its zone to say.
"""

from __future__ import annotations

import fnmatch
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
AddressInfo = tuple[Any, ...]
"""One answer of getaddrinfo: family, type, protocol, name, and the address that a socket takes."""

METADATA: Final = tuple(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
"""Of clouds that keep it at no link-local address: Alibaba, Azure, Oracle, AWS and Google."""
_THIS_HOST: Final = ip_network("0.0.0.0/8")
_V4_INSIDE: Final = ip_network("64:ff9b::/96")
"""NAT64: the last four bytes are an address of IPv4."""
_PATTERN: Final = re.compile(r"[a-z0-9*?._-]+")
_MEND: Final = "its --allow-destination says what it may call"


class Refused(OSError):
    """The operator does not go there; the message says why, in words that may be told to whoever wrote the rollout:
    it never says what a name leads to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One host pattern or one network of a list."""

    pattern: str = ""
    network: Network | None = None

    @classmethod
    def of(cls, text: str) -> Entry:
        """`*.example.com`, `10.0.0.0/8`, `127.0.0.1` or `::1`. Raises ValueError with a sentence."""
        word = text.strip().lower()
        try:
            return cls(network=ip_network(word.strip("[]"), strict=False))
        except ValueError:
            pass
        if "/" in word or ":" in word or not _PATTERN.fullmatch(word):
            msg = f"{text!r} is neither a host such as *.example.com nor a network such as 10.0.0.0/8"
            raise ValueError(msg)
        return cls(pattern=word)

    def names(self, host: str) -> bool:
        """Whether it is a pattern that this host meets."""
        return bool(self.pattern) and fnmatch.fnmatchcase(host, self.pattern)

    def holds(self, address: Address) -> bool:
        """Whether it is a network that has this address."""
        return self.network is not None and address.version == self.network.version and address in self.network

    def is_just(self, address: Address) -> bool:
        """Whether it is this one address and nothing more."""
        return self.holds(address) and self.network is not None and self.network.num_addresses == 1


@dataclass(frozen=True, slots=True)
class Destinations:
    """What may be called; see the top of the file. `api_host`: how the API server is called, and its port;
    `api_server`: its addresses. `tls_only`: nothing is called in the clear."""

    allowed: tuple[Entry, ...] = ()
    refused: tuple[Entry, ...] = ()
    api_host: tuple[str, int] = ("", 0)
    api_server: frozenset[tuple[Address, int]] = field(default_factory=frozenset)
    tls_only: bool = False
    anywhere: bool = False
    """Nothing is judged: for whoever goes with rights of their own, such as the kubectl plugin."""

    def of_name(self, host: str, port: int, *, named: bool = True) -> str:
        """Why a host is refused by what it is called, before anything is asked; empty where that is not known yet.
        `named`: it was a rollout that said this name."""
        if self.anywhere:
            return ""
        host = host.lower().rstrip(".")
        address = _address(host)
        if address is not None:
            return self._of_address(host, host, port, address, named=named)
        if (host, port) == self.api_host:
            return f"{host} is the API server itself, which this operator does not call for a rollout; {_MEND}"
        if any(each.names(host) for each in self.refused):
            return f"{host} is among what this operator never calls for a rollout (--refuse-destination)"
        allowed = not named or not self.allowed or any(each.names(host) for each in self.allowed)
        networks = any(each.network is not None for each in self.allowed)
        return "" if allowed or networks else _none(host)

    def of_address(self, host: str, address: str, port: int, *, named: bool = True) -> str:
        """Why a connection to this address is refused; empty where it may be opened. `host` is what led there."""
        if self.anywhere:
            return ""
        found = _address(address)
        if found is None:
            return f"{host} leads to no address"
        return self._of_address(host.lower().rstrip("."), address, port, found, named=named)

    def of_scheme(self, tls: bool) -> str:
        """Why something may not be called in the clear; empty where it may, or is not."""
        if tls or not self.tls_only:
            return ""
        return "it would be called in the clear, which this operator never does (--tls-only): write https://"

    def permitted(self, host: str, found: Iterable[AddressInfo], port: int, *, named: bool = True) -> list[AddressInfo]:
        """Those of what a name leads to that a connection may be opened to. Raises Refused where there are none."""
        answers = list(found)
        why = [self.of_address(host, str(each[4][0]), port, named=named) for each in answers]
        let = [each for each, no in zip(answers, why, strict=True) if not no]
        if answers and not let:
            raise Refused(why[0])
        return let

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """A connection to one of the addresses of a host that may be called. Blocks. Raises Refused, OSError."""
        said = self.of_name(host, port)
        if said:
            raise Refused(said)
        found = self.permitted(host, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), port)
        problem: OSError | None = None
        for family, kind, protocol, _, where in found:
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(timeout)
                made.connect(where)
            except OSError as error:
                made.close()
                problem = error
            else:
                return made
        raise problem if problem is not None else OSError(f"{host} leads to no address")

    def beside(self, api_server: Iterable[tuple[str, int]]) -> Destinations:
        """The same, with these addresses and ports known to be the API server's."""
        known = {(found, port) for text, port in api_server if (found := _address(text)) is not None}
        return replace(self, api_server=self.api_server | known)

    def _of_address(self, host: str, shown: str, port: int, address: Address, *, named: bool) -> str:
        leads = "is" if _address(host) is not None else "leads to"
        for each in _inside(address):
            if any(entry.holds(each) or entry.names(host) for entry in self.refused):
                return f"{host} is among what this operator never calls for a rollout (--refuse-destination)"
            if (each, port) in self.api_server and not any(entry.is_just(each) for entry in self.allowed):
                return f"{host} {leads} the API server itself, which this operator does not call for a rollout; {_MEND}"
        if any(entry.holds(address) for entry in self.allowed):
            return ""
        for each in _inside(address):
            kind = _special(each)
            if kind:
                return f"{host} {leads} {kind}, which this operator does not call for a rollout; {_MEND}"
        if not named or not self.allowed or any(entry.names(host) for entry in self.allowed):
            return ""
        return _none(host)


def _none(host: str) -> str:
    return f"{host} is none of the hosts that this operator calls for a rollout; {_MEND}"


def _address(text: str) -> Address | None:
    """An address; None for a name. A zone (fe80::1%eth0) does not matter here."""
    try:
        return ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _inside(address: Address) -> Sequence[Address]:
    """The address, and those of IPv4 that it leads to."""
    if isinstance(address, IPv4Address):
        return (address,)
    found: list[Address] = [address]
    if address.ipv4_mapped is not None:
        found.append(address.ipv4_mapped)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    if address in _V4_INSIDE:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return found


def _special(address: Address) -> str:
    """What an address is that nobody's Prometheus has; empty for all others."""
    if address in METADATA:
        return "an address at which a cloud keeps its metadata"
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address, at which clouds keep their metadata"
    if address.is_unspecified or (address.version == 4 and address in _THIS_HOST):
        return "an address that means this very host"
    if address.is_multicast:
        return "a multicast address"
    return ""


ANYWHERE: Final = Destinations(anywhere=True)

__all__ = ["ANYWHERE", "Address", "AddressInfo", "Destinations", "Entry", "Refused"]
