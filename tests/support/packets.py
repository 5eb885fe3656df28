"""Packets that get lost on their way to a socket, of whatever process: a connection goes half-open.

A socket filter that lets nothing through drops what arrives before TCP sees it: it is not acknowledged, and nobody is told.
That is what a cut cable does, and it needs no network namespace, no module and no firewall; where the socket belongs to
another process, a copy of its descriptor does (pidfd_getfd), for whoever may trace that process.
"""

import ctypes
import os
import socket
import struct
from pathlib import Path
from typing import Any

import psutil

_SO_ATTACH_FILTER = 26  # <asm-generic/socket.h>
_PIDFD_GETFD = 438  # <asm-generic/unistd.h>
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K, 0 bytes let through
_ESTABLISHED = "01"  # <net/tcp_states.h>


def drop_arriving(pid: int, fd: int) -> None:
    """From now on nothing gets to this TCP socket of that process. Raises OSError where we may not touch it."""
    program = ctypes.create_string_buffer(_RETURN_NOTHING)
    with socket.socket(fileno=_copy(pid, fd)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def to_port(pid: int, port: int) -> dict[int, int]:
    """The process' connections to that port: their own port, and the descriptor."""
    standing = [one for one in _connections(pid) if one.status == psutil.CONN_ESTABLISHED]
    return {one.laddr.port: one.fd for one in standing if one.raddr.port == port}


def from_port(pid: int, port: int) -> int | None:
    """The descriptor by which a server's process holds the connection that came from this port."""
    return next((one.fd for one in _connections(pid) if one.raddr and one.raddr.port == port), None)


def standing(ports: set[int]) -> dict[int, bool]:
    """Those of these local ports whose TCP connection stands for the kernel, and whether bytes that it sent lie unanswered."""
    found = {}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        port = int(local.partition(":")[2], 16)
        if port in ports and state == _ESTABLISHED:
            found[port] = int(queues.partition(":")[0], 16) > 0
    return found


def _connections(pid: int) -> list[Any]:
    try:
        return list(psutil.Process(pid).net_connections("tcp4"))
    except psutil.NoSuchProcess:
        return []


def _copy(pid: int, fd: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        copied = int(libc.syscall(_PIDFD_GETFD, pidfd, fd, 0))
    finally:
        os.close(pidfd)
    if copied < 0:
        raise OSError(ctypes.get_errno(), f"{os.strerror(ctypes.get_errno())}: a socket of process {pid}")
    return copied
