"""Immutable records: what `dataclass(frozen=True)` makes, declared in a fifteenth of the time.

`dataclasses` writes and compiles six methods for each class, 0.5 ms of them: for the hundred classes of a command, half
of the time that it takes to start. Here all classes share the methods; `fields`, `replace`, `asdict`, `match`, pickles
and type checkers see a dataclass.

    >>> from dataclasses import replace
    >>> @frozen
    ... class Place:
    ...     unit: int
    ...     index: int = 0
    >>> Place(1), replace(Place(1), index=2), Place(1) == Place(1, 0), len({Place(1), Place(unit=1)})
    (Place(unit=1, index=0), Place(unit=1, index=2), True, 1)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from functools import partial
from inspect import Parameter, Signature
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def frozen(kind: type[T], /) -> type[T]: ...


@overload
def frozen(*, kw_only: bool) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T] | None = None, /, *, kw_only: bool = False) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a class with annotated fields a record: it has a constructor, equality, a hash and a repr by these fields.

    What the class defines itself stays. `kw_only`, `field()` and `__post_init__` mean what they mean in a dataclass;
    `init=False` and `InitVar` are not for records.
    """
    return partial(_frozen, kw_only) if kind is None else _frozen(kw_only, kind)


def _frozen(kw_only: bool, kind: type[T]) -> type[T]:
    made = dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(kind)
    every = fields(made)  # type: ignore[arg-type]
    compared = _getter([each.name for each in every if each.compare])
    methods: dict[str, Any] = {
        "__init__": _constructor(every, vars(kind)["__match_args__"], getattr(kind, "__post_init__", None)),
        "__eq__": _equality(compared),
        "__hash__": _hash(_getter([each.name for each in every if (each.compare if each.hash is None else each.hash)])),
        "__repr__": _repr([each.name for each in every if each.repr]),
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
        "__signature__": _SIGNATURE,
    }
    own = kind.__dict__
    for name, method in methods.items():
        if name not in own:
            setattr(kind, name, method)
    return made


def _constructor(
    every: tuple[Field[Any], ...], positional: tuple[str, ...], after: Callable[[Any], None] | None
) -> Callable[..., None]:
    names = frozenset(each.name for each in every)
    defaults = {each.name: each.default for each in every if each.default is not MISSING}
    factories = [(each.name, each.default_factory) for each in every if each.default_factory is not MISSING]
    size, most = len(every), len(positional)

    def __init__(self: Any, /, *values: Any, **named: Any) -> None:
        members = self.__dict__
        members.update(defaults)
        members.update(zip(positional, values, strict=False))
        members.update(named)
        for name, make in factories:
            if name not in members:
                members[name] = make()
        if (
            len(members) != size
            or len(values) > most
            or (named and not (named.keys() <= names and named.keys().isdisjoint(positional[: len(values)])))
        ):
            members.clear()
            raise TypeError(
                f"{type(self).__qualname__}{Signature.from_callable(type(self))} was given {values}, {named}"
            )
        if after:
            after(self)

    return __init__


def _getter(names: list[str]) -> Callable[[Any], Any]:
    """The values of these members, to be compared."""
    return attrgetter(*names) if names else lambda record: ()


def _equality(compared: Callable[[Any], Any]) -> Callable[[Any, object], bool]:
    def __eq__(self: Any, other: object) -> bool:
        return bool(compared(self) == compared(other)) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(compared: Callable[[Any], Any]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:
        return hash(compared(self))

    return __hash__


def _repr(names: list[str]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _refuse_to_set(self: object, name: str, value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


class _Signature:
    """What `inspect.signature`, `help` and documentation show of the constructor."""

    def __get__(self, instance: object, kind: type) -> Signature:
        return Signature([_parameter(each) for each in fields(kind)], return_annotation=None)


def _parameter(each: Field[Any]) -> Parameter:
    if each.default is not MISSING:
        default = each.default
    else:
        default = Parameter.empty if each.default_factory is MISSING else each.default_factory
    form = Parameter.KEYWORD_ONLY if each.kw_only else Parameter.POSITIONAL_OR_KEYWORD
    return Parameter(each.name, form, default=default, annotation=each.type)


_SIGNATURE = _Signature()
