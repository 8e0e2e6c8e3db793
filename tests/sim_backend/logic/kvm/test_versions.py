"""The versions of KVM's logic."""

from __future__ import annotations

from dataclasses import fields, replace

from sim_backend.logic.kvm.versions import KVM, KVM_PREEMPT, KvmVersion
from sim_backend.logic.versions import VERSIONS


def test_they_are_among_all_versions():
    assert VERSIONS["kvm"] is KVM
    assert VERSIONS["kvm-preempt"] is KVM_PREEMPT


def test_preemption_is_all_that_differs():
    assert replace(KVM_PREEMPT, name="kvm", preemptible=False) == KVM


def test_every_field_is_told():
    text = KvmVersion.__doc__ or ""
    assert all(f"        {each.name}:" in text for each in fields(KvmVersion) if each.name != "name")
