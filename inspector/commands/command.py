"""What a command is: a name, typed arguments, what it needs, and a function that answers.

A command is one decorated function:

    @frozen
    class Arguments:
        least: int = option("only vCPUs with so many vectors at least", 1)

    @command(Arguments, Example("live", "pending --least 4", "the busy ones"))
    def pending(inspection: Inspection, arguments: Arguments) -> Answer:
        '''The vCPUs that have vectors pending.'''
        ...

The docstring is its help. A package of somebody else's names such a function by an entry point of the group
`vtdpi.commands`; its summary, for the list of commands, is then the docstring's first line.
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from inspector.base.arguments import JSON_HELP, add_arguments, arguments_of, given
from inspector.base.parser import Parser
from inspector.commands import load
from inspector.commands.choosing import NOTHING, WITHOUT, Choosing
from inspector.model.schema_name import VERSION, schema_name
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.model.answer import Answer, AnyAnswer, Block


A = TypeVar("A")

D = TypeVar("D", bound=Mapping[str, object])

Stream: TypeAlias = Generator["Block", None, "Answer[D]"]
"""An answer that comes in parts: each is shown when it happens; what is returned is the whole document and the end."""

Run = Callable[["Inspection", Any], "AnyAnswer | Stream[Any]"]


@frozen
class Example:
    """A line that one types, or several one after another, on a kind of target.

    Attributes:
        target: `live`, `dump FILE`, `sim --scenario idle`; empty if it needs none.
        line: a command's line; several are separated by line breaks.
        note: what it is for.
    """

    target: str
    line: str
    note: str = ""

    def of_shell(self) -> str:
        """As one types it in a shell."""
        start = f"vtdpi {self.target}".rstrip()
        lines = self.line.splitlines()
        if len(lines) == 1:
            return f"{start} {self.line}"
        return " ".join([start, *(f"-c {shlex.quote(line)}" for line in lines)])

    def of_session(self, prefix: str = "") -> str:
        """As one types it in a session with a target; `prefix` stands before each command."""
        return "\n".join(prefix + line for line in self.line.splitlines())


@frozen
class Command:
    """A command.

    Attributes:
        name: the word that asks for it.
        summary: what it is for, in a few words; empty for a built-in one, whose summary is in the list of commands.
        arguments: a dataclass whose fields are made by `argument()` and `option()`.
        run: answers, from one inspection of the machine. Raises VtdpiError if nothing of it could be read.
        help: what it does, in sentences.
        examples: of its use.
        while_running: whether it also works on a machine that runs.
        instead_in_gdb: what to do instead inside gdb, which has the machine for itself; empty if it works there.
        version: of the schema of its documents: it grows when a reader of the old one would misread the new one.
    """

    name: str
    summary: str
    arguments: type
    run: Run
    help: str
    examples: tuple[Example, ...] = ()
    while_running: bool = False
    instead_in_gdb: str = ""
    version: int = VERSION

    @property
    def schema(self) -> str:
        """The name of the schema of its documents, which each of them has as its first member."""
        return schema_name(self.name, self.version)

    @property
    def chooses(self) -> bool:
        """Whether it takes the options that choose rows and columns."""
        return self.name not in WITHOUT

    def answer(self, inspection: Inspection, arguments: object = None) -> AnyAnswer:
        """The whole answer; without arguments, that of the command alone. Raises VtdpiError."""
        answer = self.run(inspection, self.arguments() if arguments is None else arguments)
        return finish(answer) if isinstance(answer, Generator) else answer

    def explained(self, example: Callable[[Example], str] = Example.of_shell) -> str:
        """The help, with the examples as one types them in one's place."""
        shown = [(example(each), each.note) for each in self.examples]
        width = max((len(line) for text, note in shown if note for line in text.splitlines()), default=0) + 3
        lines = [text if not note else f"{text:{width}}{note}" for text, note in shown]
        return "\n\n".join(part for part in (self.help, "\n".join(lines)) if part)

    def parser(self, prefix: str = "", example: Callable[[Example], str] = Example.of_shell) -> ArgumentParser:
        """The parser of its options; `prefix` stands before its name, `example` is as for `explained`."""
        made = Parser(
            f"{prefix}{self.name}",
            description=self.explained(example),
            formatter_class=RawDescriptionHelpFormatter,
        )
        add_arguments(made, self.arguments)
        own = {each.name for each in arguments_of(self.arguments)}
        if "json" not in own:
            made.add_argument("--json", action="store_true", help=JSON_HELP)
        if self.chooses:
            add_arguments(made.add_argument_group("rows and columns"), Choosing)
        return made


def command(
    arguments: type[A],
    *examples: Example,
    name: str = "",
    while_running: bool = False,
    instead_in_gdb: str = "",
    version: int = VERSION,
) -> Callable[[Callable[[Inspection, A], Answer[D] | Stream[D]]], Command]:
    """Make a command of a function, whose docstring is its help; see Command for the arguments."""

    def made(run: Callable[[Inspection, A], Answer[D] | Stream[D]]) -> Command:
        help = cleandoc(run.__doc__ or "")
        called = name or run.__name__.rstrip("_")
        return Command(
            called,
            help.partition("\n")[0].rstrip("."),
            arguments,
            lambda inspection, given: _named(run(inspection, given), schema_name(called, version)),
            help,
            examples,
            while_running,
            instead_in_gdb,
            version,
        )

    return made


def _named(answer: AnyAnswer | Stream[Any], schema: str) -> AnyAnswer | Stream[Any]:
    """The same, with a document that names its schema."""
    return _named_at_its_end(answer, schema) if isinstance(answer, Generator) else answer.named(schema)


def _named_at_its_end(stream: Stream[Any], schema: str) -> Stream[Any]:
    answer = yield from stream
    return answer.named(schema)


def finish(stream: Stream[D], seen: Callable[[Block], None] = lambda block: None) -> Answer[D]:
    """Run a stream to its end; each part is seen when it comes. Ctrl-C is the stream's, wherever it comes."""
    with closing(stream):
        while True:
            try:
                try:
                    seen(next(stream))
                except KeyboardInterrupt as interrupt:
                    seen(stream.throw(interrupt))
            except StopIteration as end:
                answer: Answer[D] = end.value
                return answer


@frozen
class Request:
    """A command and its arguments, not yet run. `json` is whether the answer is to be JSON."""

    command: Command
    arguments: Any
    json: bool
    choosing: Choosing = NOTHING

    def answer(self, inspection: Inspection) -> AnyAnswer:
        """The whole answer. Raises VtdpiError if nothing could be read."""
        return self.command.answer(inspection, self.arguments)


def parse(words: Sequence[str], prefix: str = "", json: bool = False) -> Request:
    """What the words ask for.

    Args:
        words: the command's name and its options.
        prefix: what stands before the name in help texts.
        json: whether the answer is JSON even without `--json`.

    Raises:
        UsageError: there is no such command, or it does not take these options.
        SystemExit: `--help` was asked for and printed.
    """
    name, *rest = words
    chosen = load(name)
    made = chosen.parser(prefix)
    made.set_defaults(json=json)
    options: Namespace = made.parse_args(rest)
    choosing = given(Choosing, options) if chosen.chooses else NOTHING
    return Request(chosen, given(chosen.arguments, options), options.json or choosing.format == "json", choosing)
