"""`vtdpi completion`: what a shell completes on its own command line, made from the commands' typed arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from inspector.base.arguments import Argument, argument, arguments_of
from inspector.frontends.front_end import front_end
from structs.frozen import frozen

Shell = Literal["bash", "zsh", "fish"]


@frozen
class CompletionOptions:
    """What it takes."""

    shell: Shell = argument("for which shell; for bash: source <(vtdpi completion bash)")


def run(options: CompletionOptions) -> int:
    """Print the shell's script; the exit status."""
    made = _fish() if options.shell == "fish" else _bash()
    if options.shell == "zsh":
        made = f"autoload -U +X compinit bashcompinit && compinit && bashcompinit\n{made}"
    print(made)
    return 0


def _options() -> Mapping[str, Mapping[str, Argument | None]]:
    """The options of each kind of target and of each command, by name; None for what it says nothing else of."""
    from inspector import commands
    from inspector.commands.choosing import Choosing
    from inspector.frontends.target_words import KINDS

    also: dict[str, Argument | None] = {"--json": None, "-c": None, "--script": None, "--help": None}
    found = {kind: _flags(each.options) | also for kind, each in KINDS.items()}
    for name in commands.BUILT_IN:
        command = commands.load(name)
        found[name] = _flags(command.arguments) | (_flags(Choosing) if command.chooses else {}) | {"--json": None}
    return found


def _flags(declared: type) -> dict[str, Argument | None]:
    return {flag: each for each in arguments_of(declared) for flag in each.flags}


def _bash() -> str:
    from inspector.commands import BUILT_IN
    from inspector.frontends.cli import GROUPS, TARGETS

    options = _options()
    cases = []
    for name, flags in options.items():
        names = [*flags, *(BUILT_IN if name in TARGETS else ())]
        cases.append(f'    {name}) words="{" ".join(names)}" ;;')
    cases.append(f'    help|schema) words="{" ".join(BUILT_IN)}" ;;')
    lines = [
        "_vtdpi() {",
        '  local current="${COMP_WORDS[COMP_CWORD]}" last="${COMP_WORDS[1]}" words="" word',
        '  for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do',
        f'    case "$word" in {"|".join(BUILT_IN)}) last="$word" ;; esac',
        "  done",
        f'  if [ "$COMP_CWORD" = 1 ]; then words="{" ".join((*TARGETS, *GROUPS))}"',
        '  else case "$last" in',
        *cases,
        "  esac; fi",
        '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        "complete -o bashdefault -o default -F _vtdpi vtdpi",
    ]
    return "\n".join(lines)


def _fish() -> str:
    return "\n".join(_fish_lines())


def _fish_lines() -> Iterator[str]:
    from inspector.commands import BUILT_IN
    from inspector.frontends.cli import GROUPS, TARGETS

    every = {**TARGETS, **{name: summary for name, (summary, _) in GROUPS.items()}}
    for name, summary in every.items():
        yield f"complete -c vtdpi -n __fish_use_subcommand -a {name} -d {_quoted(summary)}"
    seen = f"__fish_seen_subcommand_from {' '.join(TARGETS)}; and not __fish_seen_subcommand_from {' '.join(BUILT_IN)}"
    for name, summary in BUILT_IN.items():
        yield f"complete -c vtdpi -n '{seen}' -a {name} -d {_quoted(summary)}"
    for name, flags in _options().items():
        here = f"__fish_seen_subcommand_from {name}" if name in BUILT_IN else seen.replace(" ".join(TARGETS), name)
        for flag, each in flags.items():
            kind = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
            value = " -r" if each and each.takes_value else ""
            yield f"complete -c vtdpi -n '{here}' {kind}{value}" + (f" -d {_quoted(each.help)}" if each else "")


def _quoted(text: str) -> str:
    """A word of fish's, whatever is in it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


FRONT_END = front_end(CompletionOptions, run)
