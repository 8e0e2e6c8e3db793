"""VT-d units: found by ACPI or through Xen, read by their registers and tables."""
