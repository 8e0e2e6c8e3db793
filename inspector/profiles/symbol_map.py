"""The symbols in a xen-*.map: what a distribution puts beside a Xen that has no symbols of its data in it.

    0xffff82d040440790 D acpi_drhd_units
    0xffff82d040200008 t head.o#multiboot1_header

It does not name its build; that the image's own functions lie where it says tells that it belongs to it. Source:
xen/tools/symbols.c (--map), the Makefile in xen/arch/x86.
"""

from __future__ import annotations

import re
from pathlib import Path

from inspector.base.errors import VtdpiError
from inspector.profiles.image import Image

SUFFIX = ".map"
LINE = re.compile(r"^(?:0x)?([0-9a-f]{16}) [A-Za-z?] (?:\S*#)?(\S+)$", re.MULTILINE | re.ASCII)
LARGEST = 16 << 20
FEWEST = 100
"""So many functions that are alike tell the build; an image has thousands."""


def addresses(path: Path) -> dict[str, int]:
    """The address of each symbol in a map; a name that stands for several places is left out.

    Raises:
        VtdpiError: it cannot be read, or holds no symbols.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST).decode("ascii", "replace")
    except OSError as error:
        raise VtdpiError(f"{path}: cannot be read: {error.strerror}") from None
    found: dict[str, set[int]] = {}
    for address, name in LINE.findall(text):
        found.setdefault(name, set()).add(int(address, 16))
    known = {name: places.pop() for name, places in found.items() if len(places) == 1}
    if not known:
        raise VtdpiError(f"{path}: no symbols in it: each line of a xen-syms.map is an address, a type and a name")
    return known


def of_image(path: Path, image: Image) -> dict[str, int]:
    """The symbols in a map that belongs to an image.

    Raises:
        VtdpiError: as `addresses`; it belongs to another, or the image does not tell its functions.
    """
    if image.symbols is None:
        raise VtdpiError(f"whether {path} is of this Xen cannot be told: its own functions are not in this target")
    known = addresses(path)
    own = image.symbols.addresses
    common = own.keys() & known.keys()
    moved = sorted(name for name in common if own[name] != known[name])
    if moved or len(common) < FEWEST:
        found = f"has {moved[0]} at another address" if moved else f"shares {len(common)} symbols with it"
        raise VtdpiError(f"{path} is of another build than Xen {image.version or ''} in memory: it {found}")
    return known
