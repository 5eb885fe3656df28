"""What a person is shown of what others wrote: nothing in it hides, turns or pushes away the rest."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.shown import MAX_SHOWN_ARGUMENTS, cut, escaped, one_line, outline, units
from sessions import canonical

MOST = 2_200
HIDING = (
    "\u034f\u17b4\ufe00\ufe0f\U000e0101\u202e\u2066\u200b\u00ad\ufeff\x1b\x9b\r\t\x00\u3164\u2800\U000e0041\ud800\u00a0"
)


def shown(arguments: dict[str, object]) -> str:
    return outline(canonical(arguments), MOST)[0]


def test_arguments_stand_one_after_another_with_their_values_below() -> None:
    given = {"timeout": 5, "command": "cd build\nls é \\n", "env": {"A": ["x"]}, "note": ""}
    text, whole = outline(canonical(given), MOST)
    assert whole
    assert text.split("\n") == [
        *("command:", "    cd build", "    ls é \\n"),
        *("env:", "    {", '      "A": [', '        "x"', "      ]", "    }"),
        *("note:", '    ""', "timeout:", "    5"),
    ]


@pytest.mark.parametrize("char", HIDING)
def test_what_hides_or_turns_is_escaped_wherever_it_stands(char: str) -> None:
    for text in (
        shown({f"a{char}b": f"c{char}d"}),
        shown({"a": [f"c{char}d"]}),
        escaped(char),
        one_line(canonical({"a": char}), 99),
    ):
        assert char not in text
        assert "\\" in text


def test_an_emoji_stays_as_it_is() -> None:
    assert escaped("❤\ufe0f ok ⚠\ufe0f") == "❤\ufe0f ok ⚠\ufe0f"


def test_a_value_cannot_look_like_another_argument() -> None:
    lines = shown({"content": "x\nfile_path:\n    /tmp/x", "file_path": "/etc/passwd"}).split("\n")
    assert [line for line in lines if not line.startswith("    ")] == ["content:", "file_path:"]


def test_blanks_do_not_push_a_command_out_of_sight() -> None:
    for blank in (" " * 3_000, "\n" * 900, "\n  " * 500):
        text, whole = outline(canonical({"command": f"ls{blank}; rm -r /"}), MOST)
        assert not whole
        assert "; rm -r /" in text
        assert "blanks left out" in text
        assert len(text) < 200


def test_a_long_argument_takes_no_room_from_a_short_one_and_shows_both_ends() -> None:
    text, whole = outline(canonical({"content": "a" + "x" * 250_000 + "z", "file_path": "/etc/passwd"}), MOST)
    assert not whole
    assert "\nfile_path:\n    /etc/passwd" in text
    assert "content:\n    ax" in text
    assert "xz\n" in text
    assert "characters left out, SHA-256 " in text


def test_of_too_many_arguments_it_is_told_how_many_are_not_shown() -> None:
    text, whole = outline(canonical({f"a{n}": n for n in range(MAX_SHOWN_ARGUMENTS + 3)}), MOST)
    assert not whole
    assert text.endswith("… and 3 arguments more")
    assert outline("{}", MOST) == ("(no arguments)", True)


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=80), st.text(max_size=400) | st.integers(), max_size=30))
def test_it_fits_a_message_whatever_is_in_it(arguments: dict[str, object]) -> None:
    text, whole = outline(canonical(arguments), MOST)
    assert units(text) <= MOST * 3 // 2
    assert all(char.isprintable() or char == "\n" for char in text)
    if whole:
        assert text.count(":\n    ") >= len(arguments)


def test_what_is_cut_is_told_by_its_digest() -> None:
    one, other = cut("x" * 5_000, 200), cut("x" * 2_500 + "y" + "x" * 2_499, 200)
    assert one != other
    assert units(cut("\U0001f600" * 5_000, 200)) <= 210
