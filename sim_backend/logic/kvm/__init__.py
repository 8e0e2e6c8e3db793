"""KVM's posted-interrupt logic, of Linux 6.12, an atomic action a step; the VT-d units and local APICs are Xen's too.

Sources: arch/x86/kvm/vmx/posted_intr.c, arch/x86/kvm/vmx/vmx.c, arch/x86/kvm/x86.c, virt/kvm/kvm_main.c,
virt/kvm/eventfd.c, drivers/iommu/intel/irq_remapping.c, kernel/sched/core.c.
"""
