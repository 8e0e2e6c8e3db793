"""What the bytes mean: schemas of the structures that VT-d hardware, ACPI and Xen share. No I/O."""
