"""A machine read through QMP alone. With a real QEMU: tests/live/test_any_xen.py."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live.running_qemu import RunningQemu

RAM = bytes(range(256)) * 512
VIEW = """FlatView #0
 AS "memory", root: system
 Root memory region: system
  0000000000000000-000000000001ffff (prio 0, ram): pc.ram
  00000000fed90000-00000000fed90fff (prio 0, i/o): intel_iommu
"""
REGISTERS = "CPU#0\nRAX=0\nCR0=80050033 CR2=0000000000000000 CR3=0000000003cd3000 CR4=000000a0\nCPU#1\nCR0=0\n"


@pytest.fixture
def qemu(tmp_path):
    """The path of a socket behind which RAM lies; `pmemsave` requests are in `qemu.saved`."""
    path = tmp_path / "qmp"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    saved = []

    def answer(words):
        given = words.get("arguments", {})
        if words["execute"] == "human-monitor-command":
            return VIEW if given["command-line"] == "info mtree -f" else REGISTERS
        if words["execute"] == "pmemsave":
            saved.append((given["val"], given["size"]))
            with open(given["filename"], "wb") as file:
                file.write(RAM[given["val"] :][: given["size"]])
        return {}

    def serve():
        with listener.accept()[0] as peer, peer.makefile("rw") as lines:
            lines.write('{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}\n')
            lines.flush()
            for line in lines:
                lines.write(json.dumps({"return": answer(json.loads(line))}) + "\n")
                lines.flush()

    thread = threading.Thread(target=serve)
    thread.start()
    yield str(path), saved
    listener.close()
    thread.join()


def test_small_reads_are_of_blocks_that_are_kept(qemu):
    path, saved = qemu
    with RunningQemu(path) as running:
        assert running.read(0x101, 2) == RAM[0x101:0x103]
        assert running.read_parts([(0x200, 8), (0xFFFF, 2), (0x20000, 1)]) == [
            RAM[0x200:0x208],
            RAM[0xFFFF:0x10001],
            None,
        ]
        assert running.cpus()[0].registers == {"cr3": 0x3CD3000}
        assert len(running.cpus()) == 1
    assert saved == [(0, 0x10000), (0, 0x20000)]


def test_what_was_asked_is_told_as_a_stub_would_read_it(qemu):
    path, saved = qemu
    with RunningQemu(path) as running:
        running.read(0x101, 2)
        running.read(0x102, 2)
        running.read(0x3000, 0x2000)
        assert running.asked == ((0, 0x400), (0x3000, 0x2000))
        running.forget()
        assert running.asked == ()
        running.read(0x101, 2)
        assert running.asked == ((0, 0x400),)
    assert saved == [(0, 0x10000), (0, 0x10000)], "anew"


def test_a_device_is_not_read(qemu):
    path, saved = qemu
    with RunningQemu(path) as running, pytest.raises(NotReadable, match="no RAM there"):
        running.read(0xFED90000, 4)
    assert not saved


def test_memory_that_qemu_does_not_give_whole(qemu, monkeypatch):
    path, _ = qemu
    with RunningQemu(path) as running:
        monkeypatch.setattr("os.pread", lambda *_: b"")
        with pytest.raises(TargetError, match="wrote 0 bytes of its memory and not 65536"):
            running.read(0, 1)
