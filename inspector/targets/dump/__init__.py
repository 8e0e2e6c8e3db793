"""Memory in a file."""
