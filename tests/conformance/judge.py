"""Mutants of the model, tried on the calls that run what they change."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, Protocol

from sim_backend.memory.memory import PAGE, Memory

from .compare import Run
from .mutants import Mutant

CASES = 200
KEPT = 1000


class Named(Protocol):
    """A function that both sides can call."""

    name: str


class Machine(Protocol):
    """What all states are states of."""

    memory: Memory


class Made(Protocol):
    """A state."""

    pages: set[int]


class Both(Protocol):
    """The code and the model, side by side."""

    base: Machine

    def state(self, function: Any, number: int) -> tuple[Any, tuple[int, ...]]: ...

    def run_code(self, function: Any, made: Any, arguments: tuple[int, ...]) -> Run | None: ...

    def run_model(self, function: Any, made: Any, arguments: tuple[int, ...], version: Any) -> Run | None: ...

    def compare(self, made: Any, code: Run | None, model: Run | None) -> list[str]: ...


Case = tuple[Named, int]
Line = tuple[str, int]


class Judge:
    """Tries mutants on the calls that run the function which they change.

    Args:
        bench: the code and the model.
        functions: that are called.
        package: the name that the model's modules begin with.
        version: of the model, as the code is.
        others: further versions that run other lines, and how many calls of each function tell which.
    """

    def __init__(
        self, bench: Both, functions: Iterable[Named], package: str, version: Any, others: Mapping[Any, int]
    ) -> None:
        self.bench, self.package, self.version = bench, package, version
        self.case = lru_cache(KEPT)(self._case)
        self.users: dict[CodeType, list[Case]] = defaultdict(list)
        self.lines: dict[Any, set[Line]] = {each: set() for each in (version, *others)}
        functions = list(functions)
        for number in range(CASES):
            for function in functions:
                for code in self._traced((function, number), version):
                    self.users[code].append((function, number))
                for other, count in others.items():
                    if number < count:
                        self._traced((function, number), other)

    def caught_by(self, mutant: Mutant) -> Case | None:
        """The first call in which the mutant does not do as the code does."""
        cases = self.users.get(mutant.function.__code__, [])
        with mutant.applied():
            return next((case for case in cases if self._differs(case)), None)

    def is_run(self, mutant: Mutant) -> bool:
        """Whether the version runs the line that a mutant changes."""
        return _line(mutant) in self.lines[self.version]

    def only_there(self, mutant: Mutant) -> str:
        """The name of another version that runs the line, if the version does not."""
        if self.is_run(mutant):
            return ""
        return next((version.name for version, lines in self.lines.items() if _line(mutant) in lines), "")

    def _case(self, case: Case) -> tuple[Made, tuple[int, ...], Run | None]:
        made, arguments = self.bench.state(*case)
        run = self.bench.run_code(case[0], made, arguments)
        if run:
            # The next call in the code has the same memory.
            memory = self.bench.base.memory
            own = {page: run.page(page) for page in run.pages | made.pages}
            run.page = lambda page: own[page] if page in own else memory.read(page * PAGE, PAGE)
        return made, arguments, run

    def _traced(self, case: Case, version: Any) -> set[CodeType]:
        """Run the model; the functions that ran. Their lines are noted as run by this version."""
        made, arguments, _ = self.case(case)
        seen: set[CodeType] = set()
        lines = self.lines[version]

        def trace(frame: FrameType, event: str, _: object) -> Any:
            seen.add(frame.f_code)
            if not frame.f_globals["__name__"].startswith(self.package):
                return None
            lines.add((frame.f_code.co_filename, frame.f_lineno))
            return trace

        sys.settrace(trace)
        try:
            self.bench.run_model(case[0], made, arguments, version)
        finally:
            sys.settrace(None)
        return seen

    def _differs(self, case: Case) -> bool:
        made, arguments, code = self.case(case)
        try:
            return bool(self.bench.compare(made, code, self.bench.run_model(case[0], made, arguments, self.version)))
        except Exception:
            return True


def _line(mutant: Mutant) -> Line:
    return mutant.function.__code__.co_filename, mutant.line
