"""The simulated machine: its state, what moves it, what it did."""
