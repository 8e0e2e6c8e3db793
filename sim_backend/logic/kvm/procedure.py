"""KVM's procedures: some have the names of Xen's."""

from __future__ import annotations

from typing import ClassVar

from sim_backend.logic.program import Procedure


class KvmProcedure(Procedure):
    """A procedure of Linux and KVM."""

    of: ClassVar[str] = "kvm"
