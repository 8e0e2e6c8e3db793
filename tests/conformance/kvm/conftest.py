"""KVM's code of the Linux that the model is of, on the machine whose states are tried."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fixtures.kvm import KvmBuild

from .bench import KvmBench

LINUX = "6.12"


@pytest.fixture(scope="session")
def kvm_build(debian_kvm: Callable[[str], KvmBuild]) -> KvmBuild:
    """Debian's newest build of it."""
    return debian_kvm(LINUX)


@pytest.fixture(scope="session")
def kvm_profile(kvm_build: KvmBuild, kvm_profile_of: Callable[[KvmBuild], str]) -> str:
    """The file of its profile."""
    return kvm_profile_of(kvm_build)


@pytest.fixture(scope="session")
def kvm_bench(kvm_build: KvmBuild, kvm_profile: str) -> KvmBench:
    """KVM's code and the model, side by side."""
    return KvmBench(kvm_build, kvm_profile)
