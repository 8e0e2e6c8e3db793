"""One stopped machine, a real Xen under a real QEMU, dumped in every way that QEMU has: all hold the same memory."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.dump.file import FileTarget
from inspector.targets.dump.kdump import Kdump
from inspector.targets.dump.raw_image import RawImage
from inspector.targets.live.qmp import Qmp
from inspector.targets.open_file import open_file

pytestmark = pytest.mark.live

MIB = 1 << 20
KINDS = {"false.core": ElfCore, "true.core": ElfCore, "raw": RawImage}
KINDS |= {"zlib.kdump": Kdump, "unflattened.kdump": Kdump, "raw-zlib.kdump": Kdump}
RECIPES = (Recipe(xen="4.17"), Recipe(xen="4.20"), Recipe(xen="4.20", qemu="trixie"))


class Dumps:
    """The dumps by name, and what QEMU says of its registers and its RAM."""

    def __init__(self, directory: Path, lab: Lab) -> None:
        with Qmp(lab.qmp) as qmp:
            self.ram = int(qmp.execute("query-memory-size-summary")["base-memory"])
            qmp.execute("stop")
            try:
                self.registers = qmp.execute("human-monitor-command", {"command-line": "info registers"})
                ways: list[tuple[str, dict[str, bool | str]]] = [
                    ("false.core", {"paging": False}),
                    ("true.core", {"paging": True}),
                    ("zlib.kdump", {"paging": False, "format": "kdump-zlib"}),
                ]
                if qmp.version >= (9, 0):
                    ways.append(("raw-zlib.kdump", {"paging": False, "format": "kdump-raw-zlib"}))
                for name, how in ways:
                    qmp.execute("dump-guest-memory", {"protocol": f"file:{directory / name}", **how}, timeout=60)
                qmp.execute("pmemsave", {"val": 0, "size": self.ram, "filename": str(directory / "raw")}, timeout=60)
            finally:
                qmp.execute("cont")
        if unflatten := shutil.which("makedumpfile"):
            with (directory / "zlib.kdump").open("rb") as flattened:
                command = [unflatten, "-R", str(directory / "unflattened.kdump")]
                subprocess.run(command, stdin=flattened, check=True, capture_output=True)
        self.targets: dict[str, FileTarget] = {p.name: open_file(p) for p in sorted(directory.iterdir())}


@pytest.fixture(params=RECIPES, ids=lambda recipe: f"{recipe.xen}-{recipe.qemu}")
def dumps(request: pytest.FixtureRequest, labs: Callable[[Recipe], Lab], tmp_path: Path) -> Iterator[Dumps]:
    directory = tmp_path / "dumps"
    directory.mkdir()
    made = Dumps(directory, labs(request.param))
    yield made
    for target in made.targets.values():
        target.close()


def test_all_dumps_of_a_stopped_machine_agree(dumps: Dumps) -> None:
    targets = dumps.targets
    assert {name: type(target) for name, target in targets.items()} == {n: KINDS[n] for n in targets}
    assert {"false.core", "true.core", "zlib.kdump", "raw"} <= set(targets)

    raw = targets.pop("raw")
    compared = dict.fromkeys(targets, 0)
    for address in range(0, dumps.ram, MIB):
        wanted = raw.read(address, MIB)
        for name, target in targets.items():
            pages = [(address + at, 4096) for at in range(0, MIB, 4096)]
            for at, part in zip(range(0, MIB, 4096), target.read_parts(pages), strict=True):
                if part is not None:
                    assert part == wanted[at : at + 4096], (name, hex(address + at))
                    compared[name] += 4096
    assert compared.pop("true.core") > 0.9 * dumps.ram
    assert set(compared.values()) == {dumps.ram}

    whole = targets["false.core"]
    rom = whole.memory()[-1]  # above RAM: QEMU's flash
    for name in targets.keys() - {"true.core", "false.core"}:
        assert targets[name].memory() == whole.memory()
        assert targets[name].read(rom.start, rom.size) == whole.read(rom.start, rom.size)


def test_paging_true_lacks_what_xen_does_not_map_and_says_so(dumps: Dumps) -> None:
    full, mapped = dumps.targets["false.core"], dumps.targets["true.core"]
    assert full.warnings == []
    assert len(mapped.warnings) == 1
    lost = int(re.findall(r"(\d+) KiB of its memory belong to no segment", mapped.warnings[0])[0]) << 10
    assert lost == sum(r.size for r in full.memory()) - sum(r.size for r in mapped.memory())


def test_registers_are_what_qemu_shows(dumps: Dumps) -> None:
    words = re.findall(r"\b(R\w+|CR\d) *=([0-9a-f]+)", dumps.registers)
    shown = {name.lower(): int(value, 16) for name, value in words}
    shown["cs"] = int(re.findall(r"^CS =([0-9a-f]{4})", dumps.registers, re.MULTILINE)[0], 16)
    shown["eflags"] = shown.pop("rfl")
    wanted = dumps.targets["false.core"].cpus()
    assert len(wanted) == 1
    found = wanted[0].registers
    assert {name: found[name] for name in shown} == shown
    assert {"rip", "rsp", "r15", "cr0", "cr3", "cr4"} <= shown.keys()
    for name in dumps.targets.keys() - {"raw"}:
        assert dumps.targets[name].cpus() == wanted
        assert dumps.targets[name].notes == dumps.targets["false.core"].notes


def test_a_dump_cut_in_the_middle_reads_as_far_as_it_goes(dumps: Dumps, tmp_path: Path) -> None:
    for name in dumps.targets.keys() - {"raw"}:
        full = dumps.targets[name]
        path = tmp_path / name
        path.write_bytes((tmp_path / "dumps" / name).read_bytes())
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size * 3 // 4)
        with open_file(path) as cut:
            assert any("cut short" in line for line in cut.warnings), name
            pages = [(address, 4096) for address in range(0, dumps.ram, 4096)]
            kept = [(page, part) for page, part in zip(pages, cut.read_parts(pages), strict=True) if part is not None]
            assert 0 < len(kept) < len(pages)
            assert full.read_parts([page for page, _ in kept]) == [part for _, part in kept]
