"""A log of Xen's console: text as people have it, down to what its debug keys and boot messages say."""
