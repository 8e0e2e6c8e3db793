"""Memory by address, with the orderings that threads need: a few LLVM instructions that numba has no name for.

`claim` and `publish` are a slot's life in a table that several threads fill: who turns its 0 into TAKEN owns it, writes
what it stands for, and then publishes its number; whoever reads the number (`acquire`) sees what was written before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

WORD, HALF, BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
TO_WRITE, KEEP, DATA = (ir.Constant(HALF, number) for number in (1, 3, 1))
PREFETCH = "llvm.prefetch.p0"
Emit = Callable[..., Any]

bare = partial(njit, _nrt=False)
"""Compiles what makes no arrays. numba counts no references there, which takes longer than the work, and threads would
wait for each other's counts."""


def _pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic
def load(typing: Any, address: Any) -> tuple[Any, Emit]:
    """The 64 bits at an address."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(builder, arguments[0], WORD))

    return types.uint64(types.int64), emit


@intrinsic
def store(typing: Any, address: Any, value: Any) -> tuple[Any, Emit]:
    """Store 64 bits."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], _pointer(builder, arguments[0], WORD))
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), emit


@intrinsic
def acquire(typing: Any, address: Any) -> tuple[Any, Emit]:
    """The 32 bits at an address; what was stored before they were published is seen after."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_pointer(builder, arguments[0], HALF), "acquire", 4)

    return types.uint32(types.int64), emit


@intrinsic
def publish(typing: Any, address: Any, value: Any) -> tuple[Any, Emit]:
    """Store 32 bits after all that was stored before."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], _pointer(builder, arguments[0], HALF), "release", 4)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint32), emit


@intrinsic
def claim(typing: Any, address: Any, value: Any) -> tuple[Any, Emit]:
    """Put a value in place of 32 bits of 0; whether they were 0."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, nothing = _pointer(builder, arguments[0], HALF), ir.Constant(HALF, 0)
        return builder.extract_value(builder.cmpxchg(place, nothing, arguments[1], "acq_rel", "acquire"), 1)

    return types.boolean(types.int64, types.uint32), emit


@intrinsic
def count_up(typing: Any, address: Any, number: Any) -> tuple[Any, Emit]:
    """Add a number to the 64 bits at an address; what they were before."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(builder, arguments[0], WORD), arguments[1], "monotonic")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def prefetch(typing: Any, address: Any) -> tuple[Any, Emit]:
    """Have the cache line of an address fetched, for it is used soon."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _pointer(builder, arguments[0], BYTE)
        kind = ir.FunctionType(ir.VoidType(), [place.type, HALF, HALF, HALF])
        known = builder.module.globals.get(PREFETCH) or ir.Function(builder.module, kind, PREFETCH)
        builder.call(known, [place, TO_WRITE, KEEP, DATA])
        return context.get_dummy_value()

    return types.void(types.int64), emit
