"""What a search has learnt as a model for SPIN, an explorer of others that has to find the same states.

    $ spin -a model.pml
    $ gcc -O2 -DSAFETY -DNOREDUCE -o pan pan.c
    $ ./pan -m1000000

The state is a row; an action is an option for each of its outcomes, whose guard goes down the decision tree that the
search went down. SPIN has to find every state by itself; it shares the tables, and nothing else, with the explorer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sim_backend.explore.search import Search
from structs import new_file

MODEL = """/* {actions} actions on a row of {words} words; {states} states, {transitions} transitions. */
c_decl {{
\\#include "{tables}"
}}
c_state "Row row" "Global"

init {{
end:
    do
    {options}
    od
}}
"""

OPTION = ":: d_step {{ c_expr {{ (possible(now.row.word, {number}, {which})) }} -> c_code {{ act(now.row.word); }} }}"

TABLES = """#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {{ uint64_t word[{words}]; }} Row;
typedef struct {{ uint64_t mask; int word, shift, base, size; }} Node;
typedef struct {{ int start, count; }} Leaf;
typedef struct {{ uint64_t clear[{words}], bits[{words}]; }} Outcome;

static const int roots[] = {{{roots}}};
static const Node nodes[] = {{{nodes}}};
static const int children[] = {{{children}}};
static const Leaf leaves[] = {{{leaves}}};
static const Outcome outcomes[] = {{{outcomes}}};
static const Outcome *chosen;

/* Whether an action has so many outcomes, and one more; that one is chosen. */
static int possible(const uint64_t *row, int action, int which)
{{
    int at = roots[action];

    while (at > 0) {{
        const Node *node = &nodes[at - 1];
        int number = row[node->word] >> node->shift & node->mask;

        at = number < node->size ? children[node->base + number] : 0;
    }}
    if (at == 0) {{
        fprintf(stderr, "action %d: a state that was not explored\\n", action);
        exit(1);
    }}
    chosen = &outcomes[leaves[-at].start + which];
    return which < leaves[-at].count;
}}

static void act(uint64_t *row)
{{
    for (int word = 0; word < {words}; word++)
        row[word] = (row[word] & ~chosen->clear[word]) | chosen->bits[word];
}}
"""


def write(search: Search, path: Path) -> Path:
    """Write the model that a search has learnt to a file, and the tables that it includes to one beside it, `.h`.

    SPIN stores as many states as the search has found, and counts one transition more (it counts the first state).

    Returns:
        The path of the tables.

    Raises:
        ValueError: the search has not visited all states, or only one of those that are alike by symmetry.
        OSError: a file cannot be written.
    """
    beside = tables_of(path)
    text = model(search, beside.name)
    new_file.write(beside, tables(search).encode())
    new_file.write(path, text.encode())
    return beside


def tables_of(path: Path) -> Path:
    """Where the tables of a model are: beside it."""
    return path.with_suffix(".h")


def model(search: Search, tables: str) -> str:
    """The model's text, which includes the file of tables that is named. Raises ValueError."""
    if not search.exhausted or search.renaming.permutations:
        raise ValueError("a model for SPIN needs a search of all states, without symmetry")
    options = "\n    ".join(_options(search)) or ":: false"
    counts = {"states": search.states.count, "transitions": search.transitions}
    actions, words = len(search.model.actions), search.fields.words
    return MODEL.format(actions=actions, words=words, tables=tables, options=options, **counts)


def _options(search: Search) -> Iterator[str]:
    trees, outcomes = search.learnt.trees, search.learnt.outcomes
    most = [0] * len(search.model.actions)
    for start, count in zip(trees.leaf_start.tolist(), trees.leaf_count.tolist(), strict=True):
        if count and outcomes[start].action < len(most):
            most[outcomes[start].action] = max(most[outcomes[start].action], count)
    for number, action in enumerate(search.model.actions):
        for which in range(most[number]):
            yield f"{OPTION.format(number=number, which=which)} /* {action.name} */"


def tables(search: Search) -> str:
    """The tables' text, in C."""
    trees, fields = search.learnt.trees, search.fields
    places = [each[trees.field[1:]].tolist() for each in (fields.mask, fields.word, fields.shift)]
    return TABLES.format(
        words=fields.words,
        roots=_initial(trees.root[: len(search.model.actions)].tolist()),
        nodes=_initial(zip(*places, trees.base[1:].tolist(), trees.size[1:].tolist(), strict=True)),
        children=_initial(trees.child.tolist()),
        leaves=_initial(zip(trees.leaf_start.tolist(), trees.leaf_count.tolist(), strict=True)),
        outcomes=_initial(zip(trees.clear.tolist(), trees.bits.tolist(), strict=True)),
    )


def _initial(values: Iterable[Any]) -> str:
    """Values as those of an array in C; what is nested becomes nested there."""
    return ",\n".join(hex(value) if isinstance(value, int) else f"{{{_initial(value)}}}" for value in values)
