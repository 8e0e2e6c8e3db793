"""Ways for debuggers to see the simulated machine."""
