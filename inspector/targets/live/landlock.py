"""What a gdb that talks to a stub may do to files: nothing, but to read what belongs to gdb itself.

By gdb's File-I/O protocol a stub may ask gdb to open, write and remove files, and gdb has no setting against it. So the
kernel refuses (Landlock, Linux 5.13 and newer). A file that is open before, or in memory only, is not touched by that.

Source: Linux Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h; gdb manual, "File-I/O Remote
Protocol Extension".
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

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
FILE_ACCESS = EXECUTE | WRITE_FILE | READ_FILE


@contextmanager
def confinement(program: str) -> Iterator[Callable[[], None] | None]:
    """What a process that is started meanwhile calls before it becomes `program`; None if this kernel cannot confine.

    A program of the distribution's may read the distribution's files. One from elsewhere may read everything, for who
    knows where its parts are; it may write nothing either.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, 0, VERSION)
    if version < 1:
        yield None
        return
    of_system = os.path.realpath(program).startswith(f"{SYSTEM}/")
    handled = WRITE_FILE | CHANGE | sum(right for right, since in SINCE.items() if version >= since)
    if of_system:
        handled |= EXECUTE | READ_FILE | READ_DIR
    attributes = struct.pack("<Q", handled)
    ruleset = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        yield None
        return
    if of_system:
        _allow(libc, ruleset, READABLE)

    def confine() -> None:
        if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(RESTRICT_SELF, ruleset, 0):
            raise OSError(ctypes.get_errno(), "cannot be confined")

    try:
        yield confine
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, paths: Iterable[str]) -> None:
    for path in paths:
        with suppress(OSError):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rights = EXECUTE | READ_FILE | (READ_DIR if os.path.isdir(path) else 0)
                if path.startswith("/dev/"):
                    rights |= WRITE_FILE
                rule = struct.pack("<Qi", rights, place)
                libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
            finally:
                os.close(place)
