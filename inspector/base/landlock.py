"""What a process may do to files, held by the kernel (Landlock, Linux 5.13 and newer).

By gdb's File-I/O protocol a stub may ask gdb to open, write and remove files, and gdb has no setting against it. What
reads the DWARF of others is made for files that are trusted. A file that is open before, or in memory only, is not
touched by that.

Source: Linux Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h; gdb manual, "File-I/O Remote
Protocol Extension".
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

SYSTEM = "/usr"
READABLE = (
    *(SYSTEM, "/lib", "/lib32", "/lib64", "/bin", "/dev/null", "/dev/tty", "/dev/urandom", "/etc/ld.so.cache"),
    *("/etc/localtime", "/etc/inputrc", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/gai.conf"),
    *("/etc/host.conf", "/etc/gdb", "/sys/devices/system/cpu"),
)
"""What a distribution's gdb reads: itself, its libraries, how the machine's name service works."""

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION, PATH_BENEATH, NO_NEW_PRIVS = 1, 1, 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
CHANGE = sum(1 << bit for bit in range(4, 13))
"""To remove, and to make, whatever kind of file."""
REFER, TRUNCATE = 1 << 13, 1 << 14
SINCE = {REFER: 2, TRUNCATE: 3}
"""In which version of the interface they came."""
NETWORK, SINCE_NETWORK = 1 << 0 | 1 << 1, 4
"""To bind a TCP socket, and to connect one."""


@contextmanager
def confinement(program: str) -> Iterator[Callable[[], None] | None]:
    """What a process that is started meanwhile calls before it becomes `program`; None if this kernel cannot confine.

    A program of the distribution's may read the distribution's files. One from elsewhere may read everything, for who
    knows where its parts are; it may write nothing either.
    """
    of_system = os.path.realpath(program).startswith(f"{SYSTEM}/")
    libc = ctypes.CDLL(None, use_errno=True)
    ruleset = _ruleset(libc, EXECUTE | READ_FILE | READ_DIR if of_system else 0)
    if ruleset is None:
        yield None
        return
    if of_system:
        _allow(libc, ruleset, EXECUTE | READ_FILE, READABLE)
    try:
        yield partial(_confine, libc, ruleset)
    finally:
        os.close(ruleset)


def confine_to(*paths: str) -> bool:
    """From here on this process may read what is at these paths, do nothing else to any file, run no program, and, from
    Linux 6.7 on, open no TCP connection. False if this kernel cannot confine.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    ruleset = _ruleset(libc, EXECUTE | READ_FILE | READ_DIR, NETWORK)
    if ruleset is None:
        return False
    try:
        _allow(libc, ruleset, READ_FILE, paths)
        _confine(libc, ruleset)
    finally:
        os.close(ruleset)
    return True


def _ruleset(libc: ctypes.CDLL, more: int, network: int = 0) -> int | None:
    """A ruleset that forbids to write, and all of `more` and `network`; None if this kernel has none."""
    version = libc.syscall(CREATE_RULESET, None, 0, VERSION)
    if version < 1:
        return None
    handled = more | WRITE_FILE | CHANGE | sum(right for right, since in SINCE.items() if version >= since)
    attributes = struct.pack("<QQ", handled, network) if version >= SINCE_NETWORK else struct.pack("<Q", handled)
    ruleset: int = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    return None if ruleset < 0 else ruleset


def _confine(libc: ctypes.CDLL, ruleset: int) -> None:
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "cannot be confined")


def _allow(libc: ctypes.CDLL, ruleset: int, access: int, paths: Iterable[str]) -> None:
    for path in paths:
        with suppress(OSError):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rights = access | (READ_DIR if os.path.isdir(path) else 0)
                if path.startswith("/dev/"):
                    rights |= WRITE_FILE
                rule = struct.pack("<Qi", rights, place)
                libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
            finally:
                os.close(place)
