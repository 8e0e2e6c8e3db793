"""Functions of Xen by address, as far as a profile names them."""

from __future__ import annotations

from bisect import bisect_right

from structs.xen.profile import Profile

LONGEST = 0x1000
"""A function is not longer than this, as a rule: farther up is another one, which the profile does not name."""

LIMITS = {"_start", "_stext", "_etext", "_end"}


class Functions:
    """The functions that a profile names."""

    def __init__(self, profile: Profile) -> None:
        text = range(profile.symbol("_stext"), profile.symbol("_etext")) if profile.has_symbol("_etext") else range(0)
        found = ((int(of["address"]), name) for name, of in profile.document["symbols"].items() if name not in LIMITS)
        self._found = sorted((address, name) for address, name in found if address in text)

    def __getitem__(self, name: str) -> int:
        """A function's address. Raises KeyError if none of that name is known."""
        return {known: address for address, known in self._found}[name]

    @property
    def names(self) -> list[str]:
        """All of them, by address."""
        return [name for _, name in self._found]

    def at(self, address: int) -> str:
        """The function at an address: `vmx_vcpu_block+0x1c`, the nearest known one below; else the address."""
        place = bisect_right(self._found, (address, "\uffff")) - 1
        if place < 0 or address - self._found[place][0] >= LONGEST:
            return f"{address:#x}"
        start, name = self._found[place]
        return name if address == start else f"{name}+{address - start:#x}"
