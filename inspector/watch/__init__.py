"""A live table of a machine: looks at it one after the other, and a screen that shows them."""
