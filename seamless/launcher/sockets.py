"""Who listens on a TCP port of this machine, as far as the kernel tells it to this user.

Asked over netlink; where that is not to be had, in /proc/net, which may take milliseconds.
"""

from __future__ import annotations

import os
import struct

from seamless.launcher.processes import Member, session_members

_LISTEN = b"0A"
_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP = 4, 20, 0x301
_DONE, _ERROR = 3, 2
_LISTEN_ONLY = 1 << 10
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI2sH44x")  # family, protocol, extensions, states, source port, the rest of the address
_PORT_OFFSET, _INODE_OFFSET = 4, 68  # in an answer, which is that of inet_diag_msg


def listening_inodes(port: int) -> set[int]:
    """Return the socket numbers of everything that listens on `port`, whatever the address."""
    try:
        return _from_netlink(port)
    except (OSError, AttributeError, struct.error):
        return _from_proc(port)


def _from_netlink(port: int) -> set[int]:
    import socket  # takes long to import, and most callers never come here

    inodes: set[int] = set()
    wanted = struct.pack(">H", port)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _LISTEN_ONLY, wanted, 0)
            kernel.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 0, 0) + request)
            while _read_answers(kernel.recv(1 << 16), wanted, inodes):
                pass
    return inodes


def _read_answers(data: bytes, wanted: bytes, inodes: set[int]) -> bool:
    """Add the sockets of one message of the kernel; tell whether there are more messages. Raises OSError."""
    while data:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        body = data[_HEADER.size : length]
        if kind == _ERROR:
            raise OSError(-struct.unpack_from("=i", body)[0], "the kernel does not list sockets")
        if kind == _DONE:
            return False
        if kind == _SOCK_DIAG_BY_FAMILY and body[_PORT_OFFSET : _PORT_OFFSET + 2] == wanted:
            inodes.add(struct.unpack_from("=I", body, _INODE_OFFSET)[0])
        data = data[(length + 3) & ~3 :]
    return True


def _from_proc(port: int) -> set[int]:
    wanted = b":%04X" % port
    inodes = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        try:
            with open(table, "rb") as f:
                lines = f.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split(None, 10)
            if len(fields) > 9 and fields[3] == _LISTEN and fields[1].endswith(wanted):
                inodes.add(int(fields[9]))
    return inodes


def socket_inodes(pid: int) -> set[int] | None:
    """Return the socket numbers that a process holds, or None if that may not be known."""
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        return None
    return found


def listens(leader: Member, port: int) -> bool | None:
    """Tell whether `leader`, or a process of its session, listens on `port`; None if it cannot be known."""
    inodes = listening_inodes(port)
    if not inodes:
        return None  # in another network namespace, or no longer
    held = socket_inodes(leader.pid)
    if held is not None and held & inodes:
        return True
    certain = held is not None
    for member in session_members(leader)[:-1]:
        held = socket_inodes(member.pid)
        if held is None:
            certain = False
        elif held & inodes:
            return True
    return False if certain else None
