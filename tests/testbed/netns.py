"""A network namespace of the test's own, in which the whole testbed lives.

Why everything, and not only the proxy: the proxy reads the API server, Prometheus scrapes the services
behind the proxy, tests talk to all of them. In one namespace they are all at 127.0.0.1, ports cannot
collide with another run's, no traffic can leave the machine, and the kernel takes everything away with
the last process. The API server refuses loopback addresses for endpoints, so backends need addresses
that are not: in here every address of `BACKENDS` and `PODS` is this machine's own, without adding them
one by one.

`enter()` moves *this process* (before it has threads) and thereby all later children. As root it takes
a network namespace; otherwise a user namespace around one, in which the user keeps its own id.
From inside there is no way out, so whatever needs the network (builds) comes first. A `Door` lets one
port be reached from outside: its listener is made before `enter()` and so stays outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
import threading
import time
from ipaddress import IPv4Network
from pathlib import Path

from testbed.errors import NamespaceForbidden, TestbedError

BACKENDS = IPv4Network("10.200.0.0/16")
"""Addresses for backends of a proxy to listen on."""
PODS = IPv4Network("10.244.0.0/16")
"""Addresses that fake pods get; a program that listens on 0.0.0.0 answers for all of them."""

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_inside = False


def entered() -> bool:
    """Whether this process has moved into its own namespace."""
    return _inside


def enter() -> None:
    """Move this process into a fresh network namespace with loopback up. Does nothing the second time.

    Raises NamespaceForbidden if the system does not allow it, TestbedError if it is too late for it.
    """
    global _inside  # noqa: PLW0603 - it is a property of the process
    if _inside:
        return
    if not sys.platform.startswith("linux"):
        raise NamespaceForbidden(f"network namespaces exist on Linux only and this is {sys.platform}; use CLUSTER=kind")
    threads = _settled_threads()
    if threads > 1:
        raise TestbedError(
            f"the process already has {threads} threads, which would stay outside the network namespace; "
            "enter it before anything starts threads"
        )
    _unshare()
    _inside = True
    loopback(up=True)
    for network in (BACKENDS, PODS):
        _make_local(network)


def _settled_threads() -> int:
    """Threads of this process. One that Python has joined may be about to end in the kernel: it gets a moment."""
    until = time.monotonic() + 1.0
    while True:
        threads = len(os.listdir("/proc/self/task"))
        if threads == 1 or threading.active_count() > 1 or time.monotonic() > until:
            return threads
        time.sleep(0.005)


def _unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0:
        return
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise NamespaceForbidden(
            f"this system lets uid {uid} make no network namespace ({os.strerror(code)}); run as root, or allow "
            "unprivileged user namespaces (in a container: --privileged, or --cap-add SYS_ADMIN), or use CLUSTER=kind"
        )
    # until the ids are mapped this process is nobody and may not open its own files
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def loopback(*, up: bool) -> None:
    """In this process's own namespace, and nowhere else: with loopback down, nothing that is sent arrives."""
    if not _inside:
        raise TestbedError("the network of this machine is left alone: enter a namespace first")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        flags = struct.unpack_from("16sH", request)[1]
        try:
            fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP if up else flags & ~_IFF_UP))
        except PermissionError as error:
            raise NamespaceForbidden(
                "the user namespace was made but gives no rights in it (AppArmor does so on some systems); run as "
                "root, or set sysctl kernel.apparmor_restrict_unprivileged_userns=0"
            ) from error


# rtnetlink, from linux/netlink.h and linux/rtnetlink.h
_RTM_NEWROUTE = 24
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE = 1, 4, 0x200, 0x400
_NLMSG_ERROR = 2
_RT_TABLE_LOCAL, _RTPROT_BOOT, _RT_SCOPE_HOST, _RTN_LOCAL = 255, 3, 254, 2
_RTA_DST, _RTA_OIF = 1, 4


def _make_local(network: IPv4Network) -> None:
    """`ip route add local NETWORK dev lo`, without needing the `ip` program."""
    route = struct.pack(
        "=BBBBBBBBI",
        socket.AF_INET,
        network.prefixlen,
        0,
        0,
        _RT_TABLE_LOCAL,
        _RTPROT_BOOT,
        _RT_SCOPE_HOST,
        _RTN_LOCAL,
        0,
    )
    route += struct.pack("=HH4s", 8, _RTA_DST, network.network_address.packed)
    route += struct.pack("=HHI", 8, _RTA_OIF, socket.if_nametoindex("lo"))
    flags = _NLM_F_REQUEST | _NLM_F_ACK | _NLM_F_CREATE | _NLM_F_EXCL
    message = struct.pack("=IHHII", 16 + len(route), _RTM_NEWROUTE, flags, 1, 0) + route
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        sock.send(message)
        answer = sock.recv(4096)
    kind, code = struct.unpack_from("=4xH10xi", answer)
    if kind != _NLMSG_ERROR or code not in (0, -errno.EEXIST):
        raise TestbedError(f"the kernel refused the local route for {network}: {os.strerror(-code)}")


class Door:
    """A port on the *outer* 127.0.0.1 that leads to an address inside. Make it before `enter()`."""

    def __init__(self) -> None:
        if _inside:
            raise TestbedError("a door must be made before the process enters its network namespace")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def open_to(self, host: str, port: int) -> None:
        """From now on connections to the door are carried to host:port inside."""

        def accept() -> None:
            while True:
                try:
                    outer, _ = self._listener.accept()
                except OSError:
                    return  # closed
                try:
                    inner = socket.create_connection((host, port), timeout=5)
                except OSError:
                    outer.close()
                    continue
                inner.settimeout(None)
                for source, target in ((outer, inner), (inner, outer)):
                    threading.Thread(target=_carry, args=(source, target), daemon=True).start()

        threading.Thread(target=accept, name="door", daemon=True).start()

    def close(self) -> None:
        self._listener.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end, how in ((source, socket.SHUT_RD), (target, socket.SHUT_WR)):
        with contextlib.suppress(OSError):
            end.shutdown(how)
