"""Find a Linux in a target's memory with no help: no System.map, no vmlinux, no debug symbols.

What maps it is found first: by what it said to the maker of a dump, by page tables that CPUs use, or by the vmcoreinfo
that lies in its memory. Its image then has kallsyms and BTF in its read-only data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from inspector.base.errors import UNREADABLE, VtdpiError
from inspector.kernels.paging import ADDRESS, FIVE_LEVELS, LEVELS, PAGE, PageTables
from inspector.linux import btf, kallsyms, vmcoreinfo
from inspector.linux.btf import Btf
from inspector.linux.image import Image
from inspector.linux.kallsyms import KallsymsError, Places
from inspector.linux.layouts import profile
from inspector.linux.linux import Linux
from inspector.linux.vmcoreinfo import Vmcoreinfo
from inspector.targets.target import Target
from structs.frozen import frozen

BANNER = re.compile(rb"Linux version (\S{1,128}) ")
BANNER_BYTES = 512
LA57 = 1 << 12
"""Of CR4: five levels of page tables."""
TABLES_LIMIT = 64
"""Page tables that are looked at."""
IMAGES_LIMIT = 4
"""Of those, such as map as much as a kernel has."""


@frozen
class Candidate:
    """Page tables that may map a Linux, how many levels they have, and what led to them."""

    root: int
    levels: int
    found_by: str
    told: Vmcoreinfo | None = None


def find(target: Target, more: Iterable[int] = (), search: bool = True, before: Linux | None = None) -> Linux | None:
    """The Linux in a target's memory; None if there is none.

    Args:
        target: where to look.
        more: other tables of level 4 that may map one, such as those of a paravirtualised domain.
        search: whether to look through memory for what it says of itself, if nothing else leads to it.
        before: the one that was there at the last look; it is tried first.

    Raises:
        VtdpiError: there is one, but its kallsyms or its BTF cannot be read.
    """
    if before and (same := _same(target, before)):
        return same
    problem: VtdpiError | None = None
    seen: set[tuple[int, int]] = set()
    images: set[int] = set()
    for candidate in _candidates(target, more, search):
        if (candidate.root, candidate.levels) in seen:
            continue
        seen.add((candidate.root, candidate.levels))
        try:
            image = Image(PageTables(target, candidate.root, FIVE_LEVELS if candidate.levels == 5 else LEVELS))
            # Each process's page tables map the one kernel.
            if image.is_whole and (place := image.tables.translate(image.text)) not in images:
                images.add(place)
                return _linux(image, candidate)
        except UNREADABLE as error:
            problem = problem or VtdpiError(f"a Linux whose symbols or types cannot be read: {error}")
        if len(seen) == TABLES_LIMIT or len(images) == IMAGES_LIMIT:
            break
    if problem:
        raise problem
    return None


def _same(target: Target, before: Linux) -> Linux | None:
    """The Linux of the last look, if it is there still."""
    tables = PageTables(target, before.memory.root, before.memory.levels)
    (banner,) = tables.read_parts([(before.profile.symbol("linux_banner"), BANNER_BYTES)])
    if banner is None or not (found := BANNER.match(banner)) or found[1].decode("ascii", "replace") != before.release:
        return None
    return replace(before, memory=tables, image=Image(tables))


def _candidates(target: Target, more: Iterable[int], search: bool) -> Iterator[Candidate]:
    if (told := vmcoreinfo.told(target)) and told.root is not None:
        yield Candidate(told.root, told.levels, "the vmcoreinfo note", told)
    for cpu in target.cpus():
        if cr3 := cpu.registers.get("cr3", 0) & ADDRESS:
            levels = 5 if cpu.registers.get("cr4", 0) & LA57 else 4
            # With page-table isolation a user's table lies one page above the kernel's.
            for root in (cr3 & ~PAGE, cr3):
                yield Candidate(root, levels, f"CR3 of CPU {cpu.index}")
    for root in more:
        yield Candidate(root, 4, "a paravirtualised domain's page table")
    for told in vmcoreinfo.in_memory(target) if search else ():
        if told.root is not None:
            yield Candidate(told.root, told.levels, "the vmcoreinfo in its memory", told)


def _linux(image: Image, candidate: Candidate) -> Linux:
    """The Linux of an image. Raises VtdpiError, ProfileError."""
    symbols = kallsyms.read(image.tables, _places(image, candidate.told))
    found = symbols.find(("linux_banner", "__start_BTF", "__stop_BTF"))
    types = _types(image, found)
    release = _release(image, found, candidate.told)
    return Linux(profile(release, "", symbols, types), image.tables, image, symbols, types, release, candidate.found_by)


def _places(image: Image, told: Vmcoreinfo | None) -> Places:
    if told:
        try:
            return kallsyms.by_symbols(image.tables, dict(told.symbols))
        except UNREADABLE:
            pass  # an older kernel does not tell
    for address, raw in image.read_only():
        if places := kallsyms.by_structure(raw, address, image.text):
            return places
    raise KallsymsError("no kallsyms in its image (CONFIG_KALLSYMS=n, or left out of the dump)")


def _types(image: Image, symbols: dict[str, int]) -> Btf:
    start, stop = symbols.get("__start_BTF"), symbols.get("__stop_BTF")
    if start is not None and stop is not None and 0 < stop - start <= btf.LIMIT:
        return Btf(image.tables.read(start, stop - start))
    for _, raw in image.read_only():
        for begin in re.finditer(re.escape(btf.START), raw):
            size = btf.size_at(raw[begin.start() : begin.start() + btf.HEADER])
            if size and begin.start() + size <= len(raw):
                return Btf(raw[begin.start() : begin.start() + size])
    raise btf.BtfError("no BTF in its image (CONFIG_DEBUG_INFO_BTF=n, or left out of the dump)")


def _release(image: Image, symbols: dict[str, int], told: Vmcoreinfo | None) -> str:
    banner = b""
    if "linux_banner" in symbols:
        banner = image.tables.read_parts([(symbols["linux_banner"], BANNER_BYTES)])[0] or b""
    found = BANNER.match(banner)
    if found is None and told is None:
        raise VtdpiError("its image has no banner (linux_banner), so it is no Linux, or not all of it is there")
    return found[1].decode("ascii", "replace") if found else told.release if told else ""
