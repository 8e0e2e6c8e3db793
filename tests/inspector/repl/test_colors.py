"""The colours of a line: nothing of the text is lost, and what is no command is marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from inspector.repl.colors import LineLexer
from inspector.repl.grammar import Grammar

GRAMMAR = Grammar()


def styled(text, grammar=GRAMMAR, aliases=("mine",)):
    lexer = LineLexer(lambda: grammar, aliases)
    return lexer.lex_document(Document(text))(0)


def style_of(part, text, **options):
    (style,) = {style for style, shown in styled(text, **options) if shown == part}
    return style


@pytest.mark.parametrize(
    ("part", "text", "style"),
    [
        ("irt", "irt --posted", "class:command"),
        ("mine", "mine", "class:command"),
        ("exit", "exit", "class:command"),
        ("nope", "nope", "class:unknown"),
        ("--posted", "irt --posted", "class:option"),
        ("--pos", "irt --pos", "class:option"),
        ("--unit=3", "irt --unit=3", "class:option"),
        ("--nope", "irt --nope", "class:unknown"),
        # The words of another command's line are that command's.
        ("--posted", "expect irt --posted", "class:option"),
        ("00:1f.0", "route 00:1f.0", "class:value"),
        ("d1v0", "pi d1v0", "class:value"),
        ("0x1000", "pi 0x1000", "class:value"),
        ("'a b'", "save 'a b'", "class:string"),
        ("'a b", "save 'a b", "class:string"),
        ("# why", "irt # why", "class:comment"),
    ],
)
def test_each_part(part, text, style):
    assert style_of(part, text) == style


def test_what_follows_a_pipe_is_the_shells():
    assert styled("irt | grep --nope")[-1] == ("class:pipe", "| grep --nope")


def test_while_the_grammar_is_loading_no_option_is_wrong():
    assert style_of("--nope", "irt --nope", grammar=None) == "class:option"


@given(st.text(st.characters(exclude_characters="\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=30))
def test_no_text_is_lost(text):
    assert "".join(shown for _, shown in styled(text)) == text
