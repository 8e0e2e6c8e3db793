"""A session with one target: lines in, answers out."""
