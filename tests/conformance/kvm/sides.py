"""One call on both sides: in the machine code of KVM and the kernel, and in the model."""

from __future__ import annotations

from sim_backend.layout.kvm.layout import KvmLayout
from sim_backend.logic.guests import Guests
from sim_backend.logic.kvm.context import RESCHEDULE_VECTOR, TASK_RUNNING, KvmContext
from sim_backend.logic.kvm.posted_intr import vmx_vcpu_pi_put
from sim_backend.logic.kvm.schedule import kvm_arch_vcpu_load
from sim_backend.logic.kvm.services import KvmServices
from sim_backend.logic.kvm.state import KvmState
from sim_backend.logic.kvm.versions import KVM, KvmVersion
from sim_backend.logic.pi import Call, Store
from sim_backend.logic.program import PROCEDURES, Actor, ActorId, ActorKind, Procedure
from sim_backend.logic.vtd_engine import flush_entry
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE

from ..compare import Run, model_run
from ..machine_code import Event, Fails
from .code import VMWRITE, WARNS, KvmCode
from .functions import Function
from .states import DEVICE, OWNER, State

STUBS = {
    "__SCT__apic_call_send_IPI_mask": "asks the local APIC for an IPI",
    "__SCT__apic_call_send_IPI_self": "the same",
    "native_smp_send_reschedule": "the same",
    "__rcu_read_lock": "counts in the current task",
    "__srcu_read_lock": "counts readers of the routes",
    "__srcu_read_unlock": "the same",
    "__rcu_read_unlock": "the same",
    "__warn_printk": "prints",
    "kvm_arch_vcpu_load": "has more to do than vmx_vcpu_pi_load, which is compared by itself",
    "kvm_arch_vcpu_put": "has more to do than vmx_vcpu_pi_put, which is compared by itself",
    "irq_remapping_cap": "looks at what the VT-d driver has found out at boot",
    "qi_submit_sync": "waits for the VT-d unit",
    "vmx_interrupt_blocked": "reads the VMCS",
    "wake_up_process": "the scheduler",
}
"""What is called and not run, and why not."""
NOT_COMPARED = (
    *("__rcu_read_lock", "__rcu_read_unlock", "__srcu_read_lock", "__srcu_read_unlock"),
    *("__warn_printk", "irq_remapping_cap", "vmx_interrupt_blocked"),
    # The model has no VMCS, and no warnings.
    *(VMWRITE, WARNS),
)
GUEST_INTR_STATUS = 0x810
STEPS = 3000
NOTED = {
    flush_entry: "flush",
    kvm_arch_vcpu_load: "kvm_arch_vcpu_load",
    vmx_vcpu_pi_put: "kvm_arch_vcpu_put",
}
"""Procedures that others call, and how that is told."""
REMAPPING_CHIP, SET_VCPU_AFFINITY = "INTEL-IR", 216
"""Whose `struct irq_chip` has it, and where; no profile keeps that."""
POINTER = 8


def connect(code: KvmCode) -> None:
    """Let irqs find the VT-d driver's function, as boot does."""
    chip = code.layout.interrupts.chips[REMAPPING_CHIP]
    code.memory.set_u64(chip + SET_VCPU_AFFINITY, code.virtual("intel_ir_set_vcpu_affinity"))
    code.start()


def run_code(code: KvmCode, function: Function, made: State, arguments: tuple[int, ...]) -> Run | None:
    """The call in the code, or None if that fails."""
    layout = made.layout
    name, given = function.call(made, arguments)
    code.load(layout.memory, made.pages)
    code.vmcs = {GUEST_INTR_STATUS: made.rvi}
    code.answers = {
        "irq_remapping_cap": lambda *_: int(layout.config.intpost),
        "vmx_interrupt_blocked": lambda *_: int(made.blocked),
        "wake_up_process": lambda task, *_: int(sleeps(layout, code, task)),
        "qi_submit_sync": lambda *_: 0,
        "__srcu_read_lock": lambda *_: 0,
    }
    try:
        outcome = code.call(name, *given, cpu=made.cpu, interrupts_on=not made.in_irq)
    except Fails:
        return None
    assert outcome.interrupts_on == (not made.in_irq)
    told = [as_told(code, layout, made.cpu, event) for event in outcome.events]
    events = [event for event in told if event]
    return Run(outcome.result & function.value, events, outcome.pages, lambda page: code.read(page * PAGE, PAGE))


def sleeps(layout: KvmLayout, code: KvmCode, task: int) -> bool:
    """Whether a task would be woken."""
    place = layout.physical(task) + layout.member("task_struct", "__state")
    return code.read(place, 4) != TASK_RUNNING.to_bytes(4, "little")


def as_told(code: KvmCode, layout: KvmLayout, cpu: int, event: Event) -> Event | None:
    """What happened in the code on a CPU, as the model tells it; None for what is not compared."""
    name, *arguments = event
    match name:
        case "store":
            return event
        case "__SCT__apic_call_send_IPI_self":
            return "send_ipi", cpu, arguments[0]
        case "__SCT__apic_call_send_IPI_mask":
            return "send_ipi", _cpu_of(code, arguments[0]), arguments[1]
        case "native_smp_send_reschedule":
            return "send_ipi", arguments[0] & 0xFFFF_FFFF, RESCHEDULE_VECTOR
        case "kvm_arch_vcpu_load":
            return name, layout.physical(arguments[0]), arguments[1] & 0xFFFF_FFFF
        case "wake_up_process" | "kvm_arch_vcpu_put":
            return name, layout.physical(arguments[0]), 0
        case "qi_submit_sync":
            unit = next(n for n, u in enumerate(layout.units) if layout.virtual(u.iommu) == arguments[0])
            descriptor = code.read(code.to_physical(arguments[1]), POINTER)
            return "flush", unit, int.from_bytes(descriptor, "little") >> 32 & 0xFFFF
        case _:
            assert name in NOT_COMPARED
            return None


def _cpu_of(code: KvmCode, mask: int) -> int:
    """The CPU of a mask out of the kernel's own ones, of one CPU each (`get_cpu_mask`)."""
    word = int.from_bytes(code.kernel.read(mask, POINTER), "little")
    assert word.bit_count() == 1
    return word.bit_length() - 1


def run_model(function: Function, made: State, arguments: tuple[int, ...], version: KvmVersion = KVM) -> Run | None:
    """The call in the model, or None if it fails, on a copy of the state."""
    layout = made.layout.copy()
    noted: list[Store | Call] = []
    actor = Alone(made.cpu, noted)
    actor.irqs, actor.in_irq = not made.in_irq, int(made.in_irq)
    w = alone(layout, version, noted)
    w.state.masked = made.vcpus if made.blocked else []
    w.state.owners[DEVICE] = OWNER
    w.state.bindings = AllTo(made.route)
    Actor.call(actor, PROCEDURES[f"kvm {function.name}"], *arguments)
    layout.memory.observer = lambda *store: noted.append(Store(*store))
    try:
        for _ in range(STEPS):
            if not actor.stack:
                break
            if not actor.advance(w):
                return None
        else:
            return None
    except SimError:
        return None
    finally:
        layout.memory.observer = None
    return model_run(layout, actor.result & function.value, noted)


class AllTo(dict[int, tuple[tuple[int, int], ...]]):
    """The guest's routes, where all MSIs have the same."""

    def __init__(self, route: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.route = route

    def get(self, key: int, default: object = None) -> tuple[tuple[int, int], ...]:  # type: ignore[override]
        """As dict.get."""
        return self.route


class Alone(Actor):
    """A CPU that runs one procedure. What is no call but a stub in the code is only noted."""

    def __init__(self, cpu: int, noted: list[Store | Call]) -> None:
        super().__init__(ActorId(ActorKind.CPU, cpu), f"CPU {cpu}", cpu)
        self.noted = noted

    def call(self, procedure: Procedure, *arguments: int) -> None:
        """As Actor.call."""
        if procedure in NOTED:
            first, second = (*arguments, 0)[:2]
            self.noted.append((NOTED[procedure], first, second))
        else:
            super().call(procedure, *arguments)


class Noted(KvmServices):
    """Services that are only noted."""

    def __init__(self, w: KvmContext, noted: list[Store | Call]) -> None:
        super().__init__(w)
        self.noted = noted

    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        """As Apics."""
        self.noted.append(("send_ipi", cpu, vector))

    def leaves_cpu(self, v: int) -> bool:
        """As KvmServices: nobody moves."""
        return False

    def wake_up_process(self, actor: Actor, v: int) -> bool:
        """As KvmServices."""
        task = self.w.addresses.tasks[v]
        self.noted.append(("wake_up_process", task, 0))
        return self.w.memory.u32(task + self.w.o.task_state) != TASK_RUNNING


def alone(layout: KvmLayout, version: KvmVersion, noted: list[Store | Call]) -> KvmContext:
    """A machine of which there is nothing but memory."""
    state = KvmState.switched_on(layout.config.cpus, len(layout.units), False)
    w = KvmContext(layout, version, state, NoChance())
    w.services, w.guests = Noted(w, noted), Guests(w)
    return w


class NoChance:
    """Nothing is left to chance."""

    def below(self, limit: int) -> int:
        """As Chance."""
        return 0

    def happens(self, rate: int) -> bool:
        """As Chance."""
        return False
