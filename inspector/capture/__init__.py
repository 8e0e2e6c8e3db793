"""One inspection of a target, and the snapshot that it gives."""
