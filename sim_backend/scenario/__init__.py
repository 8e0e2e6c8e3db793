"""What machine, what keeps it busy, and within which bounds."""
