"""One log in every form that people have it in: the same answer; and every command on bad ones: one clear line."""

from __future__ import annotations

import bz2
import gzip
import html
import io
import lzma
import quopri
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from inspector.commands import BUILT_IN

Run = Callable[..., Any]
LOG = Path(__file__).parents[4] / "data" / "field" / "logs" / "p_crlf.log"
TEXT = LOG.read_bytes().replace(b"\r\n", b"\n")


def archive(*members: tuple[str, bytes], mode: str = "w") -> bytes:
    """A tar archive."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=mode) as made:  # type: ignore[call-overload]
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def prefixed(prefix: bytes, mark: bytes = b"(XEN) ") -> bytes:
    """Each line with another beginning."""
    return b"".join(
        prefix + line.replace(b"(XEN) ", mark, 1).replace(b"(XEN)", mark.strip(), 1) for line in TEXT.splitlines(True)
    )


FORMS = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "bzip2": bz2.compress(TEXT),
    "zstd": zstandard.ZstdCompressor().compress(TEXT),
    "utf-16": TEXT.decode().replace("\n", "\r\n").encode("utf-16"),
    "utf-16 without a mark": TEXT.decode().encode("utf-16-le"),
    "quoted-printable": b"Subject: help\nContent-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(TEXT),
    "html": b"<html><body><pre>" + html.escape(TEXT.decode()).encode() + b"</pre></body></html>",
    "no mark": prefixed(b"", b""),
    "no mark, syslog": prefixed(b"Nov 22 12:00:01 host hypervisor: ", b""),
    "hypervisor.log": prefixed(b"[2026-11-22 12:00:01] "),
    "quoted": prefixed(b"> > "),
    "ansi": TEXT.replace(b"(XEN)", b"\x1b[1;32m(XEN)\x1b[0m"),
    "timestamps": TEXT.replace(b"(XEN) ", b"(XEN) [   12.345678] "),
    "firmware before": b"\0" * 300 + b"\x1b[2J" + b"Progress /\b-\b\\\b" * 400 + b"\r\n" + TEXT,
    "latin-1 between": b"dom0: gr\xfc\xdfe\n" * 50 + TEXT,
    "tar": archive(("bug/uname.out", b"Linux"), ("bug/xen-dmesg.out", TEXT)),
    "tar.gz": archive(("bug/xen-dmesg.out", TEXT), mode="w:gz"),
    "tar of gz": archive(("bug/log/hypervisor.log.1.gz", gzip.compress(TEXT)), ("x", b"\x7fELF")),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_interrupts(run: Run, form: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(FORMS[form])
    expected = run("dump", LOG, "irqs", "--json").json["irqs"]
    told = run("dump", path, "irqs", "--json")
    assert told.json["irqs"] == expected
    assert told.status == 0


@pytest.mark.thorough
def test_standard_input(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inspector.frontends.cli", "dump", "-", "irqs"]
    told = subprocess.run(command, input=gzip.compress(TEXT), capture_output=True, check=False)
    assert told.returncode == 0
    assert b"IO-APIC 0 pin 9" in told.stdout
    refused = subprocess.run(command, input=b"hello\n", capture_output=True, check=False)
    assert refused.returncode == 3
    assert refused.stderr.startswith(b"vtdpi: standard input is a text file")


def test_the_member_of_an_archive_that_tells_most(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bugtool.tar"
    path.write_bytes(archive(("a.log", TEXT[: len(TEXT) // 8]), ("b.log", TEXT)))
    told = run("dump", path, "info")
    assert "b.log" in told.out
    assert "lines of Xen's are also in a.log" in told.err


BAD = {
    "cut in a row": TEXT[: TEXT.index(b"R:  0018") + 20],
    "cut gzip": gzip.compress(TEXT * 40)[:-9],
    "no answer": b"(XEN) hello\n",
    "random": bytes(range(256)) * 64,
    "an archive without a log": archive(("x", b"hello")),
    "gzip of nothing": gzip.compress(b"hello\n"),
    "letters in every row": TEXT.replace(b"  1   0  ", b"  1 [ok]  "),
    "numbers beyond all bounds": b"(XEN) iommu ffffffffffffffff: nr_pt_levels = 4.\n(XEN) R:  0018: "
    + b"9" * 5000
    + b"\n",
    "mangled irqs": b"(XEN) IRQ information:\n(XEN)    IRQ:999999999999 vec:zz\n"
    b"(XEN) General information for domain 99999999999:\n",
    "a mark and nothing": b"(XEN)" * 1000,
}
COMMANDS = {
    "irte": ("irte", "0x18"),
    "route": ("route", "irte", "0x18"),
    "pi": ("pi", "d0v0"),
    "diff": ("diff", str(LOG)),
    "explain": ("explain", "D5"),
    "blocked": ("blocked",),
}
READING = [
    name
    for name in BUILT_IN
    if name in {"info", "irt", "vcpus", "audit", "irqs", "regs", "queue", "faults", "dmar", "ioapic"}
    or name in COMMANDS
]


@pytest.mark.parametrize("bad", BAD)
def test_every_command_on_bad_input_says_one_clear_line(run: Run, bad: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(BAD[bad])
    for name in READING:
        told = run("dump", path, *COMMANDS.get(name, (name,)))
        assert told.status in (0, 2, 3), name
        assert "Traceback" not in told.err
        assert told.out or told.err
        assert all(line.startswith(("vtdpi: ", "note: ")) for line in told.err.splitlines()), (name, told.err)
        assert all(len(line) < 1000 for line in told.err.splitlines())


@pytest.mark.parametrize("bad", ["cut in a row", "cut gzip", "letters in every row"])
def test_what_could_be_read_is_still_shown_with_status_3(run: Run, bad: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(BAD[bad])
    told = run("dump", path, "info")
    assert told.status == 3
    assert "4.20.1" in told.out
    assert "damaged" in told.err
