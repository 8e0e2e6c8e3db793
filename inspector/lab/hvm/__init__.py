"""A real Xen in Bochs, with HVM vCPUs whose posted-interrupt descriptors are real.

Real are Xen's code, VMX, APICv, posted-interrupt processing and the posts that software makes. Bochs has no VT-d, so no
device posts: `lab post` does by hand what a unit would do.
"""
