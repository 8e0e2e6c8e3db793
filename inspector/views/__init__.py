"""An answer -> terminal or JSON. The only part that knows about terminals."""
