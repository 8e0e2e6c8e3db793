"""Ways in: the command line, and the plugin for pytest."""
