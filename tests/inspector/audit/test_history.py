"""The states that Xen's fixed bugs left behind: the audit names each."""

from __future__ import annotations

from inspector.audit import audit
from structs.irte import POSTED, REMAPPED
from structs.pi_desc import pir_of

P, W = 0xF1, 0xF2
NIC = 0x0018
ENTRY0 = "unit 0 entry 0x18"


def said(machine, rule: str) -> str:
    """What the audit says under a rule, all of it."""
    return "\n".join(f"{f.severity} {f.subject}: {f.message}" for f in audit(machine.snapshot()) if f.rule == rule)


def test_hooks_dropped_while_preempted(machine):
    """7c00de1756: the last device leaves while d1v0 is preempted; it then runs with SN=1, and vectors wait in PIR."""
    machine.hooks(1, 0)
    for vcpu in (2, 3):
        machine.layout.list_del(machine.node(vcpu))
        machine.set_lock(vcpu, 0)
        machine.pi(vcpu, nv=P)
    machine.pi(0, sn=1, ndst=machine.ndst(2), pir=pir_of([0xFD]))
    assert machine.found() == {"D6": ["bug d1v0"]}
    assert "PIR holds vector 0xfd" in said(machine, "D6")


def test_hooks_installed_with_a_stale_ndst(machine):
    """17ee5853e2: d1v2 blocks on CPU 1's list with the NDST of CPU 0; the device's post goes to CPU 0."""
    machine.pi(2, ndst=machine.ndst(0), on=1, pir=pir_of([0x62]))
    assert machine.found() == {"D3": ["bug d1v2"], "D4": ["bug d1v2"]}


def test_no_clean_up_when_the_device_leaves(machine):
    """9152b5f8d9: d1v2's domain loses its hooks while it is blocked; it is woken otherwise and stays on the list."""
    machine.hooks(1, 0)
    machine.put(2, pause_flags=0, runstate__state=1)
    machine.layout.list_del(machine.node(3))
    machine.set_lock(3, 0)
    machine.pi(3, nv=P)
    assert machine.found() == {"D11": ["bug d1v2"]}


def test_no_clean_up_and_the_domain_is_destroyed(machine):
    """9152b5f8d9: the node is then in freed memory, which the next wakeup interrupt walks."""
    machine.block(0, 1, domain=2)
    machine.layout.destroy_domain(2)
    assert machine.found() == {"D11": ["bug CPU 1"]}


def test_a_cpu_goes_offline_with_vcpus_on_its_list(machine):
    """92fc8d10f5: CPU 1's area is freed; the vCPUs' lock pointers and NDST still lead there."""
    machine.layout.offline(1)
    machine.layout.free_percpu(1)
    machine.pi(2, on=1, pir=pir_of([0x62]))
    found = machine.found()
    assert found["D16"] == ["bug d1v2", "bug d1v3"]
    assert found["D10"] == ["bug d1v2", "bug d1v3"]
    assert found["D4"] == ["bug d1v2"]


def test_affinity_scribbled_on_a_posted_entry(machine):
    """a5e25908d1: vector, DM, TM, DLM, RH and DST of a remapped entry, and IM still 1."""
    old = POSTED.parse(machine.layout.memory.read(machine.entry(0), 16))
    dst = 2 if machine.x2apic else 2 << 8
    scribbled = REMAPPED.build({"p": 1, "dm": 1, "rh": 1, "dlm": 1, "vector": 0x78, "dst": dst})
    whole = int.from_bytes(scribbled, "little") | 1 << POSTED["im"].low
    for field in ("sid", "sq", "svt"):
        whole |= old[field] << POSTED[field].low
    machine.irte(0, whole.to_bytes(16, "little"))
    assert {"D17", "D18", "D19"} <= machine.found().keys()
    assert "remapped" in said(machine, "D19")


def test_a_stale_entry_of_an_msi_with_several_destinations(machine):
    """220e0b033d: Xen's record says remapped, the entry is still posted to the old vCPU."""
    machine.layout.put("msi_desc", machine.layout.device(NIC).msis[0].msi_desc, {"pi_desc": 0, "gvec": 0})
    assert machine.found() == {"D18": [f"bug {ENTRY0}"]}


def test_a_stale_entry_after_the_domain_has_gone(machine):
    """a5e25908d1, 8c97eb6551: the device may still fire into the freed vCPU's page."""
    machine.layout.post_msi(machine.layout.device(0x20).msis[0], 2, 0, 0x31)
    machine.pi(0, domain=2, ndst=machine.ndst(0))
    assert machine.found() == {}
    machine.layout.destroy_domain(2)
    assert "no live vCPU's descriptor" in said(machine, "D17")


def test_posting_without_the_cpus_part(machine):
    """e489eb6138: no vector was ever allocated, and NV is 0."""
    machine.layout.set_variable("posted_intr_vector", 1, 0)
    machine.layout.set_variable("pi_wakeup_vector", 1, 0)
    for vcpu in range(4):
        machine.pi(vcpu, nv=0)
    assert machine.found()["D14"] == ["bug machine"]


def test_a_failed_update_taken_for_done(machine):
    """cb587f620a: Xen's record says posted, the table says remapped."""
    entry = REMAPPED.parse(machine.layout.memory.read(machine.layout.irte(0, 0), 16))
    machine.irte(0, REMAPPED.build({**entry, "vector": 0x71, "sid": NIC, "svt": 1, "tm": 0, "dst": 0}))
    assert "is remapped, but Xen has irq" in said(machine, "D18")


def test_a_source_that_xen_could_not_find_out(machine):
    """a22223ae44, 07d2320427: an entry that is present and not checked."""
    machine.posted(0, svt=0)
    assert machine.found()["D20"] == [f"bug {ENTRY0}"]
