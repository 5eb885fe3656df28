"""Directives in, steps out."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import ScriptError
from simulator.script import (
    Failure,
    Hold,
    Reset,
    SetUsage,
    Slow,
    Stall,
    Stop,
    Text,
    Think,
    ToolCall,
    parse,
)


def test_text_without_directives_is_no_script() -> None:
    assert parse("just talk about [[wiki links]], [[ -f x ]] and [[texture]]") == []


def test_every_directive_is_read() -> None:
    script = (
        'say [[think why]] [[text Hello.]] [[tool Bash {"command": "ls"}]] [[stall 5s]] [[stall]] [[slow 20ms]]'
        '[[hold]] [[hold gate]] [[reset]] [[stop max_tokens]] [[usage {"output_tokens": 7}]] [[error 500]]'
    )
    assert parse(script) == [
        (
            Think("why"),
            Text("Hello."),
            ToolCall("Bash", {"command": "ls"}),
            Stall(5.0),
            Stall(None),
            Slow(0.02),
            Hold("default"),
            Hold("gate"),
            Reset(),
            Stop("max_tokens"),
            SetUsage({"output_tokens": 7}),
            Failure(500, "Internal server error", {}),
        )
    ]


def test_then_separates_the_responses_of_a_turn() -> None:
    assert parse("[[text a]] [[then]] [[text b]][[text c]] [[then]]") == [(Text("a"),), (Text("b"), Text("c")), ()]


def test_a_tool_call_may_hold_brackets_and_a_whole_script_for_a_subagent() -> None:
    inner = '[[tool Bash {\\"command\\": \\"[[ -f x ]]\\"}]] [[then]]'
    [[call, text]] = parse(f'[[tool Agent {{"prompt": "{inner}"}}]] [[text after]]')
    assert call == ToolCall("Agent", {"prompt": '[[tool Bash {"command": "[[ -f x ]]"}]] [[then]]'})
    assert text == Text("after")


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ('[[text "a ]] b\\n"]]', "a ]] b\n"),
        ('[[text "quoted" he said]]', '"quoted" he said'),
        ('[[text he said "yes"]]', 'he said "yes"'),
        ('[[text {"a": 1}]]', '{"a": 1}'),
        ("[[text two\nlines]]", "two\nlines"),
    ],
)
def test_text_is_taken_as_it_stands_unless_it_is_one_json_string(directive: str, said: str) -> None:
    assert parse(directive) == [(Text(said),)]


def test_an_error_may_name_headers_and_a_message() -> None:
    [[failure]] = parse("[[error 429 retry-after=3 x-should-retry=false Slow down = please]]")
    assert failure == Failure(429, "Slow down = please", {"retry-after": "3", "x-should-retry": "false"})


@pytest.mark.parametrize(
    "script",
    [
        "[[text never closed",
        "[[tool Bash]]",
        "[[tool Bash {not json}]]",
        '[[tool two names {"a": 1}]]',
        '[[tool Bash {"a": NaN}]]',
        '[[tool Bash {"a": 1e400}]]',
        '[[tool Bash {"a": "\\ud800"}]]',
        '[[tool Bash {"a": ' + "[" * 300 + "]" * 300 + "}]]",
        '[[tool Bash {"a": ' + "[" * 100_000,
        "[[stall soon]]",
        "[[stall 3601s]]",
        "[[slow 5]]",
        "[[slow]]",
        "[[error]]",
        "[[error 200]]",
        "[[error x]]",
        "[[error " + "4" * 5000 + "]]",
        "[[stop]]",
        '[[usage {"output_tokens": true}]]',
        "[[usage {}]]",
    ],
)
def test_a_directive_that_cannot_be_read_is_refused(script: str) -> None:
    with pytest.raises(ScriptError):
        parse(f"[[text fine]] {script}")


FRAGMENTS = [
    "[[",
    "]]",
    "text",
    "tool",
    "error",
    "usage",
    "hold",
    "stall",
    "then",
    "Bash",
    " ",
    '"',
    "{",
    "}",
    "[",
    "429",
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3)).map("".join))
def test_whatever_is_written_is_a_script_or_refused(script: str) -> None:
    with contextlib.suppress(ScriptError):
        parse(script)
