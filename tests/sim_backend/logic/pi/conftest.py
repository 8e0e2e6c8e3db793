"""Fixtures of these tests."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import DomainConfig, Layout, LayoutConfig


@pytest.fixture
def layout():
    """Two CPUs and a guest of three vCPUs, the first one on CPU 0."""
    return Layout(LayoutConfig(cpus=2, domains=(DomainConfig(1, 3),)))
