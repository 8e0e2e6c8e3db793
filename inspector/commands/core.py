"""Write the simulated machine's memory as an ELF core, for `vtdpi dump` and for plain gdb with the real xen-syms.

vtdpi sim core FILE                then: vtdpi dump FILE vcpus
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from inspector.answer import Answer, Text
from inspector.errors import NotHere
from inspector.look import Look


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="where to write it")


def run(look: Look, options: Namespace) -> Answer:
    write = getattr(look.target, "write_core", None)
    if write is None:
        raise NotHere(f"{look.target.description} is not simulated: dump its memory with QEMU's dump-guest-memory")
    write(options.file)
    return Answer({"file": str(options.file)}, [Text(f"wrote {options.file}")])
