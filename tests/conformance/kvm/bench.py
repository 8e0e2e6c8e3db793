"""KVM's code of one build and the model, side by side on one machine."""

from __future__ import annotations

from random import Random

from sim_backend.logic.kvm.versions import KvmVersion
from sim_backend.memory.memory import PAGE
from tests.fixtures.kvm import KvmBuild

from ..compare import Run, differences
from ..machine_code import Event
from .code import KvmCode
from .functions import Function
from .names import names_of
from .sides import STUBS, connect, run_code, run_model
from .states import CPUS, State, machine, state


class KvmBench:
    """One build of Linux with KVM.

    Args:
        build: its files.
        profile: the file of its profile.
    """

    def __init__(self, build: KvmBuild, profile: str) -> None:
        self.build, self.profile = build, profile
        self.base = machine(profile)
        self.version = self.base.profile.version
        self.code = KvmCode(build.vmlinux, build.modules, self.base, STUBS, CPUS)
        connect(self.code)
        self.names = names_of(self.base)

    def state(self, function: Function, number: int) -> tuple[State, tuple[int, ...]]:
        """A state, and arguments for a call in it."""
        seed = f"{function.name} {number}"
        made = state(self.base, seed)
        return made, function.arguments(made, Random(seed))

    def run_code(self, function: Function, made: State, arguments: tuple[int, ...]) -> Run | None:
        """The call in the code, or None if that fails."""
        return run_code(self.code, function, made, arguments)

    def run_model(self, function: Function, made: State, arguments: tuple[int, ...], version: KvmVersion) -> Run | None:
        """The call in the model, or None if that fails."""
        return run_model(function, made, arguments, version)

    def compare(self, made: State, code: Run | None, model: Run | None, everywhere: bool = False) -> list[str]:
        """Where two runs from a state differ, in all of memory or in the pages that someone wrote to."""
        pages = range(self.base.memory.size // PAGE)
        if code:
            code.pages = {*pages} if everywhere else {page for page in code.pages if page in pages}
        return differences(code, model, self.names, self.code.stack(made.cpu))

    def kind(self, event: Event) -> str:
        """What an event is, whatever vCPU it is about."""
        return str(event[0]) if event[0] != "store" else self.names(event[1]).rpartition(" ")[2]
