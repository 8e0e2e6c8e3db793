"""Write the simulated machine's memory as an ELF core, for `vtdpi dump` and for plain gdb with the real xen-syms.

vtdpi sim core FILE                then: vtdpi dump FILE vcpus
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from inspector.base import new_file
from inspector.base.errors import NotHere
from inspector.capture.inspection import Inspection
from inspector.model.answer import Answer, Text


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="where to write it")


def run(inspection: Inspection, options: Namespace) -> Answer:
    write = getattr(inspection.target, "write_core", None)
    if write is None:
        raise NotHere(
            f"{inspection.target.description} is not simulated: dump its memory with QEMU's dump-guest-memory"
        )
    with new_file.replacing(options.file, keep=inspection.target.files) as file:
        write(file)
    return Answer({"file": str(options.file)}, [Text(f"wrote {options.file}")])
