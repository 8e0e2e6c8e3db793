"""What a simulated machine itself says of its descriptors, step by step."""

from __future__ import annotations

import pytest

from inspector.kernels.descriptors import decode_descriptors

FIELDS = ("pir", "on", "sn", "nv", "ndst")


@pytest.fixture
def step_log():
    """Call it with a machine and a number of transitions: (step, actor, vCPU, changes) of each, from its memory."""

    def log(machine, count):
        machine = machine.copy()
        layout = machine.layout
        places = {machine.vcpu_name(v): v + machine.o.pi_desc for v in machine.names}
        known = {name: layout.memory.read(place, 64) for name, place in places.items()}
        start, found = machine.steps, []
        while len(found) < count:
            event = machine.step()
            for name, place in places.items():
                if (now := layout.memory.read(place, 64)) != known[name]:
                    old, new = decode_descriptors([(place, known[name]), (place, now)])
                    pairs = ((field, getattr(old, field), getattr(new, field)) for field in FIELDS)
                    changes = {field: (a, b) for field, a, b in pairs if a != b}
                    found.append((machine.steps - start, event.actor, name, changes))
                    known[name] = now
        return found

    return log
