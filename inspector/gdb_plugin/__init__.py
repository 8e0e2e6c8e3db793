"""vtdpi inside gdb: one prefix command `vtdpi`, and pretty-printers.

`install` is what `vtdpi gdb-plugin` does. The file that it writes calls `bootstrap` in gdb's own Python; everything
else here is for inside gdb.
"""
