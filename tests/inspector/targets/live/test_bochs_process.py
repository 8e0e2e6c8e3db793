"""Another process' memory, read and written as Bochs' is. With Bochs itself: tests/live/test_hvm_lab.py."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import TargetError
from inspector.targets.live import bochs_process
from inspector.targets.live.bochs_process import AT_ONCE, PROGRAM, BochsProcess

SIZE = 4096


class Here(BochsProcess):
    """This process in Bochs' place."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.memory = (ctypes.c_ubyte * SIZE)(*(at * 7 % 251 for at in range(SIZE)))
        self.start = ctypes.addressof(self.memory)


here = Here()
pieces = st.lists(
    st.tuples(st.integers(0, SIZE - 16), st.integers(0, 16)).map(lambda piece: (here.start + piece[0], piece[1])),
    max_size=20,
)


@given(pieces)
def test_pieces_one_after_the_other(wanted):
    content = bytes(here.memory)
    expected = b"".join(content[at - here.start :][:size] for at, size in wanted)
    assert here.read(wanted) == expected


@pytest.mark.parametrize("count", [AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE + 3])
def test_more_pieces_than_one_system_call_takes(count):
    wanted = [(here.start + at % SIZE, 1) for at in range(count)]
    assert here.read(wanted) == bytes(here.memory[at % SIZE] for at in range(count))


def test_what_is_written_is_read_and_nothing_beside_it():
    other = (ctypes.c_ubyte * 32)(*range(32))
    start = ctypes.addressof(other)
    here.write([(start + 4, 2), (start + 20, 3)], b"abcde")
    assert bytes(other) == bytes(range(4)) + b"ab" + bytes(range(6, 20)) + b"cde" + bytes(range(23, 32))


@pytest.mark.parametrize(("size", "format"), [(8, "Q"), (4, "I")])
def test_unsigned_integers(size, format):
    assert here.unsigned(here.start + 3, 5, size) == struct.unpack_from(f"<5{format}", bytes(here.memory), 3)


@pytest.mark.parametrize("call", ["read", "write"])
def test_memory_that_is_not_there(call):
    do = here.read if call == "read" else lambda wanted: here.write(wanted, b"x" * 8)
    with pytest.raises(
        TargetError, match=rf"the memory of Bochs \(process {os.getpid()}\) cannot be read: Bad address"
    ):
        do([(0x10, 8)])


@pytest.mark.parametrize("pid", [0, -1, 1 << 22])
def test_no_process(pid):
    with pytest.raises(TargetError, match=rf"no process {pid} to read: No such file"):
        BochsProcess(pid)


def test_a_process_that_is_no_bochs():
    with pytest.raises(TargetError, match=rf"process {os.getpid()} is no Bochs: it has loaded no {PROGRAM}"):
        BochsProcess(os.getpid())


@pytest.fixture(scope="module")
def bochs(tmp_path_factory, unavailable):
    """A program of that name, which exports a variable and sleeps."""
    compiler = shutil.which("gcc")
    if not compiler:
        unavailable("gcc is missing: install the package gcc")
    place = tmp_path_factory.mktemp("bochs")
    source = place / "bochs.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\nlong bx_mem[2] = {0x1234, 0x5678};\n"
        'int main(void) { puts(""); fflush(stdout); sleep(600); return 0; }\n'
    )
    subprocess.run([compiler, "-O0", "-rdynamic", "-o", place / PROGRAM, source], check=True)
    with subprocess.Popen([place / PROGRAM], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process, place / PROGRAM
        process.kill()


def test_an_exported_symbol_of_a_program_that_is_loaded_anywhere(bochs):
    process, _ = bochs
    target = BochsProcess(process.pid)
    assert target.unsigned(target.symbol("bx_mem"), 2) == (0x1234, 0x5678)
    target.write([(target.symbol("bx_mem") + 8, 8)], (0x9ABC).to_bytes(8, "little"))
    assert target.unsigned(target.symbol("bx_mem"), 2) == (0x1234, 0x9ABC)
    target.write([(target.symbol("bx_mem") + 8, 8)], (0x5678).to_bytes(8, "little"))
    with pytest.raises(TargetError, match="this Bochs exports no symbol bx_cpu: another build"):
        target.symbol("bx_cpu")


def test_a_program_that_has_gone_from_the_disk(bochs, monkeypatch):
    process, path = bochs
    monkeypatch.setattr(bochs_process, "_loaded", lambda pid: (f"{path} (deleted)", 0))
    with pytest.raises(
        TargetError, match=rf"{PROGRAM} \(deleted\) cannot be read as the program of process {process.pid}"
    ):
        BochsProcess(process.pid)
    monkeypatch.setattr(bochs_process, "_loaded", lambda pid: (str(Path(__file__)), 0))
    with pytest.raises(TargetError, match=r"test_bochs_process\.py cannot be read as the program"):
        BochsProcess(process.pid)
