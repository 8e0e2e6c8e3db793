"""Xen's code of one build and the model, side by side on one machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random

from sim_backend.layout.config import profile_named
from sim_backend.layout.layout import Layout
from sim_backend.logic.versions import Version
from sim_backend.memory.memory import PAGE

from .compare import Run, differences
from .functions import Function
from .names import names_of
from .sides import STUBS, prepare, run_model, run_xen
from .states import State, machine, state
from .xen_code import XenCode


class Bench:
    """One build of Xen.

    Args:
        symbols: its xen-syms.
        profile: the file of its profile.
    """

    def __init__(self, symbols: Path, profile: str) -> None:
        self.symbols = symbols
        self.profile = profile
        self.base = machine(profile_named(profile))
        self.version = self.base.profile.version
        self.code = XenCode(symbols, self.base, STUBS)
        prepare(self.base, self.code.virtual)
        self.code.start()
        self.names = names_of(self.base, self.code.virtual)

    def state(self, function: Function, number: int) -> tuple[State, tuple[int, ...]]:
        """A state, and arguments for a call in it."""
        seed = f"{function.name} {number}"
        made = state(self.base, seed)
        return made, function.arguments(made, Random(seed))

    def differences(self, function: Function, number: int, everywhere: bool = False) -> list[str]:
        """Run a call in both; where they differ. All of memory is compared, or the pages that someone wrote to."""
        made, arguments = self.state(function, number)
        xen, model = run_xen(self.code, function, made, arguments), run_model(function, made, arguments)
        if xen and everywhere:
            xen.pages.update(range(self.base.memory.size // PAGE))
        return self.compare(made, xen, model)

    def sequence(self, made: State, calls: Iterable[tuple[Function, tuple[int, ...]]]) -> tuple[Layout, list[str]]:
        """Run calls one after the other in both, up to the first difference.

        A call that fails on both sides is the last one. Returns the model's machine then, and the difference.
        """
        layout = made.layout.copy()
        for place, (function, arguments) in enumerate(calls):
            xen = run_xen(self.code, function, made, arguments, go_on=place > 0)
            model = run_model(function, made, arguments, on=layout)
            if (found := self.compare(made, xen, model)) or not model:
                return layout, [f"call {place}, {function.name}: {line}" for line in found]
        return layout, []

    def run_code(self, function: Function, made: State, arguments: tuple[int, ...]) -> Run | None:
        """The call in Xen's code, or None if that fails."""
        return run_xen(self.code, function, made, arguments)

    def run_model(self, function: Function, made: State, arguments: tuple[int, ...], version: Version) -> Run | None:
        """The call in the model, or None if that fails."""
        return run_model(function, made, arguments, version)

    def compare(self, made: State, xen: Run | None, model: Run | None) -> list[str]:
        """Where two runs from a state differ, the stack of the CPU apart."""
        return differences(xen, model, self.names, self.code.stack(made.cpu))
