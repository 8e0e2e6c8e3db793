"""Mutants of the model: each store and each call dropped, each condition flipped, one at a time.

A mutant is a function of the model with other bytecode, put in its place for a while. No source is written.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from sim_backend.logic.program import BY_NUMBER, FUNCTIONS

SETS = {"set_u8", "set_u16", "set_u32", "set_u64", "write", "cmpxchg_u128"}
READS = {
    "xchg_u64": "{memory}.u64({0})",
    "cmpxchg_u64": "{memory}.u64({0})",
    "test_and_set_bit": "bool({memory}.u8({0} + ({1} >> 3)) >> ({1} & 7) & 1)",
    "test_and_clear_bit": "bool({memory}.u8({0} + ({1} >> 3)) >> ({1} & 7) & 1)",
}
"""What an atomic operation becomes that no longer stores."""
CALLS = {
    "ack_apic_irq",
    "call",
    "count_irq",
    "cpu_raise_softirq",
    "domain_pause",
    "domain_unpause",
    "flush_iec",
    "raise_softirq",
    "send_ipi",
    "vcpu_wake",
    "wake_up_process",
}
"""Calls that leave the procedures, and the call of one procedure by another."""


@dataclass(frozen=True)
class Mutant:
    """One function of the model with one change.

    Attributes:
        where: the procedure and its step, or the helper.
        change: what was done, in words.
        line: of the source, where it was done.
    """

    where: str
    change: str
    line: int
    function: FunctionType
    code: CodeType

    def __str__(self) -> str:
        return f"{self.where}: {self.change}"

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model is this mutant meanwhile."""
        original = self.function.__code__
        self.function.__code__ = self.code
        try:
            yield
        finally:
            self.function.__code__ = original


def all_mutants(package: str, context: type) -> list[Mutant]:
    """Every mutant of every step and helper of a package, and of the methods of the context that they are given."""
    modules = [module for name, module in sys.modules.items() if name.startswith(package)]
    functions = dict(_functions(modules, context))
    nodes = [
        (module.__file__, node)
        for module in {*modules, sys.modules[context.__module__]}
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.FunctionDef)
    ]
    calls = CALLS | _storing([node for _, node in nodes])
    made = []
    for file, node in nodes:
        line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        if found := functions.get((file, line)):
            made += list(_of_function(*found, node, calls))
    return made


def _storing(nodes: list[ast.FunctionDef]) -> set[str]:
    """The helpers that store something, themselves or through others."""
    called = {
        node.name: {_called(call) for call in ast.walk(node) if isinstance(call, ast.Call)}
        for node in nodes
        if node.name != "_"
    }
    stores = SETS | set(READS)
    while more := {name for name, names in called.items() if names & stores} - stores:
        stores |= more
    return stores - SETS - set(READS)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _functions(
    modules: list[ModuleType], context: type
) -> Iterator[tuple[tuple[str | None, int], tuple[str, FunctionType]]]:
    """Where each function of the model begins, its name and itself."""
    helpers = [f for module in modules for f in vars(module).values() if isinstance(f, FunctionType)]
    helpers += filter(inspect.isfunction, vars(context).values())
    named = [(f.__name__, f) for f in helpers if f.__name__ != "run_procedure"]
    for procedure in BY_NUMBER:
        steps = zip(procedure.steps, FUNCTIONS[procedure.number], strict=True)
        named += [(f"{procedure.name} {step.pc} ({step.action})", function) for step, function in steps]
    for name, function in named:
        yield (function.__code__.co_filename, function.__code__.co_firstlineno), (name, function)


def _of_function(name: str, function: FunctionType, node: ast.FunctionDef, calls: set[str]) -> Iterator[Mutant]:
    bare = deepcopy(node)
    bare.decorator_list = []
    words = {id(inner) for told in ast.walk(bare) if _tells(told) for inner in ast.walk(told)}
    for number, original in enumerate(ast.walk(bare)):
        for change, edit in _edits(original, calls, id(original) in words):
            copy = deepcopy(bare)
            target = list(ast.walk(copy))[number]
            edited = _Replace(target, edit(target)).visit(copy)
            said = f"{change}: {_text(original)}"
            yield Mutant(name, said, original.lineno, function, _compiled(edited, function))


Edit = Callable[[Any], ast.AST]


def _tells(node: ast.AST) -> bool:
    """Whether it only says what a step did: conditions in there decide nothing."""
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "w.effect"


def _edits(node: Any, calls: set[str], only_words: bool) -> Iterator[tuple[str, Edit]]:
    """Ways to change a node for the worse."""
    if isinstance(node, ast.Call):
        name = _called(node)
        if name in SETS or name in READS:
            yield "store dropped", lambda call: _without_store(call, name)
        elif name in calls:
            yield "call dropped", lambda call: ast.Constant(name == "lock_taken" or None)
    if only_words:
        return
    if isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(node.test, ast.BoolOp):
        yield "condition flipped", _with_test
    if isinstance(node, ast.BoolOp):
        for place, value in enumerate(node.values):
            yield f"operand {ast.unparse(value)} flipped", lambda both, place=place: _with_operand(both, place)


def _without_store(call: ast.Call, name: str) -> ast.AST:
    if name in SETS:
        return ast.Constant(None)
    assert isinstance(call.func, ast.Attribute)
    arguments = [f"({ast.unparse(argument)})" for argument in call.args]
    return ast.parse(READS[name].format(*arguments, memory=ast.unparse(call.func.value)), mode="eval").body


def _with_test(branch: Any) -> ast.AST:
    branch.test = ast.UnaryOp(ast.Not(), branch.test)
    return branch  # type: ignore[no-any-return]


def _with_operand(both: ast.BoolOp, place: int) -> ast.AST:
    both.values[place] = ast.UnaryOp(ast.Not(), both.values[place])
    return both


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, new: ast.AST) -> None:
        self.target, self.new = target, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.target else super().visit(node)


def _compiled(node: ast.FunctionDef, function: FunctionType) -> CodeType:
    future = ast.ImportFrom("__future__", [ast.alias("annotations")], 0)
    module = ast.fix_missing_locations(ast.Module([future, node], []))
    space: dict[str, Any] = {}
    exec(compile(module, function.__code__.co_filename, "exec"), space)
    code: CodeType = space[node.name].__code__
    return code


def _text(node: ast.AST) -> str:
    return ast.unparse(node.test if isinstance(node, ast.If | ast.IfExp | ast.While) else node)
