"""A machine for histories: one domain, and a device whose interrupt it has."""

from __future__ import annotations

SCENARIO = """
[machine]
cpus = {cpus}

[[domain]]
id = 1
vcpus = {vcpus}

[[device]]
bdf = "00:03.0"
vectors = 1
domain = 1

[explore]
posts = 1
{bounds}
"""
