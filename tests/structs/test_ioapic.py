from __future__ import annotations

import re

from structs.ioapic import COMPATIBILITY, REMAPPABLE, RTE
from structs.irte import IRTE, dst_apic_id

V_ROW = re.compile(r"^\(XEN\)\s+([0-9a-f]{2}):\s+([0-9a-f]{4})((?:\s+[0-9a-f]+){8})\s*$", re.MULTILINE)
Z_ROW = re.compile(r"^\(XEN\)\s+([0-9a-f]{2})((?:\s+[0-9a-fA-F]+){9})\s*$", re.MULTILINE)


def test_compatibility_by_hand() -> None:
    # 63:56 destination 0x0f; mask 16, trigger 15, polarity 13; bit 11 logical; 10:8 lowest priority; vector 0x51
    raw = (0x0F << 56 | 1 << 16 | 1 << 15 | 1 << 13 | 1 << 11 | 1 << 8 | 0x51).to_bytes(8, "little")
    assert RTE.record_of(raw) is COMPATIBILITY
    assert RTE.parse(raw) == {
        "vector": 0x51, "dlm": 1, "dm": 1, "delivs": 0, "pol": 1, "irr": 0, "tm": 1, "mask": 1, "rsvd_47_17": 0,
        "format": 0, "rsvd_55_49": 0, "dst": 0x0F,
    }  # fmt: skip


def test_remappable_by_hand() -> None:
    # index 0x8017: 14:0 at 63:49, bit 15 at bit 11; format 48; remote IRR 14, delivery status 12; reserved 10:8, 17
    raw = (0x17 << 49 | 1 << 48 | 1 << 17 | 1 << 14 | 1 << 12 | 1 << 11 | 1 << 8 | 0x51).to_bytes(8, "little")
    assert RTE.record_of(raw) is REMAPPABLE
    assert RTE.parse(raw) == {
        "vector": 0x51, "rsvd_10_8": 1, "index": 0x8017, "delivs": 1, "pol": 0, "irr": 1, "tm": 0, "mask": 0,
        "rsvd_47_17": 1, "format": 1,
    }  # fmt: skip
    assert REMAPPABLE.reserved(RTE.parse(raw)) == {"rsvd_10_8": 1, "rsvd_47_17": 1}


def test_pins_agree_with_their_entries_on_a_real_xen(table: bytes, debug_keys: str) -> None:
    pins = V_ROW.findall(debug_keys)
    assert len(pins) == 24
    for _pin, index, values in pins:
        form, _mask, trigger, _irr, _polarity, _status, delivery, vector = (int(v, 16) for v in values.split())
        entry = IRTE.parse(table[int(index, 16) * 16 :][:16])
        assert (form, delivery, entry["vector"], entry["tm"]) == (1, 0, vector, trigger)


def test_key_z_translates_pins_as_their_entries_say(table: bytes, debug_keys: str) -> None:
    indexes = {int(pin, 16): int(index, 16) for pin, index, _ in V_ROW.findall(debug_keys)}
    for pin, values in Z_ROW.findall(debug_keys):
        dst, _mask, trigger, _irr, _polarity, _status, dm, dlm, vector = (int(v, 16) for v in values.split())
        entry = IRTE.parse(table[indexes[int(pin, 16)] * 16 :][:16])
        assert (dst_apic_id(entry["dst"], x2apic=False), entry["tm"], entry["dm"], entry["dlm"], entry["vector"]) == (
            dst, trigger, dm, dlm, vector,
        )  # fmt: skip
