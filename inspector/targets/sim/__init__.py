"""The simulated machine as a target."""
