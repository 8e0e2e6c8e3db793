"""`vtdpi config`: the user's settings as they are kept."""

from __future__ import annotations

import sys

from inspector.base.arguments import argument, flag, json_flag
from inspector.base.errors import UsageError
from inspector.frontends.front_end import front_end
from structs.frozen import frozen


@frozen
class ConfigOptions:
    """Which setting, and what it is to be."""

    name: str | None = argument("of a setting (default: print the default configuration)", None, metavar="NAME")
    value: tuple[str, ...] = argument(
        "what it is to be from now on; of a table the name first (default: say what it is)", (), metavar="VALUE"
    )
    unset: bool = flag("have it be as it is without any configuration")
    json: bool = json_flag()


def run(options: ConfigOptions) -> int:
    """Print the default configuration or one setting, or keep one; the exit status.

    Raises:
        UsageError: there is none of that name, or it does not take that.
        VtdpiError: the file cannot be read or changed.
    """
    from inspector.shell import config, set_show, settings
    from inspector.shell.session import Answered

    if options.name is None:
        if options.unset or options.json:
            raise UsageError("expected a setting's name: vtdpi config width --unset")
        print(config.default(), end="")
        return 0
    name = settings.meant(options.name)
    now = config.load()
    key = options.value[0] if options.value and name in settings.tables() else None
    if options.unset:
        now = settings.initially(now, name, key)
    elif options.value:
        now = settings.changed(now, name, options.value)
    answered = Answered(set_show.answer(now, [name]), options.json)
    if options.unset or options.value:
        config.keep(now, name, key)
    answered.show(sys.stdout)
    return 0


FRONT_END = front_end(ConfigOptions, run)
