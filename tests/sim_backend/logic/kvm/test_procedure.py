"""KVM's procedures beside Xen's of the same names."""

from __future__ import annotations

import sim_backend.logic.pi  # noqa: F401
from sim_backend.logic.kvm.sync import vmx_sync_pir_to_irr
from sim_backend.logic.program import FRAME, PROCEDURES


def test_two_hypervisors_may_have_functions_of_one_name():
    assert PROCEDURES["kvm vmx_sync_pir_to_irr"] is vmx_sync_pir_to_irr
    assert PROCEDURES["vmx_sync_pir_to_irr"] is not vmx_sync_pir_to_irr
    assert PROCEDURES["vmx_sync_pir_to_irr"].name == vmx_sync_pir_to_irr.name


def test_a_frame_is_saved_by_the_name_among_all():
    frame = vmx_sync_pir_to_irr.frame(0x1000)
    assert FRAME.plain(frame) == ["kvm vmx_sync_pir_to_irr", 0, 0x1000, 0, 0]
    assert FRAME.parse(FRAME.plain(frame)) == frame
