"""What agents write as text with styles, and long texts in messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateways.telegram.egress.markdown import blocks_of
from gateways.telegram.egress.splitting import MAX_UNITS, plain, split
from gateways.telegram.egress.styled import Span, Styled, units


def one(markdown: str) -> Styled:
    """A text that fits into a message."""
    (message,) = split(blocks_of(markdown))
    return message


def styles(styled: Styled) -> list[tuple[str, str, str]]:
    """Each style, what is in it, and what about."""
    return [(span.style, styled.text[span.start : span.end], span.about) for span in styled.spans]


@pytest.mark.parametrize(
    ("markdown", "text", "expected"),
    [
        ("# A *b*", "A b", [("bold", "A b", ""), ("italic", "b", "")]),
        ("a\nb  \nc", "a\nb\nc", []),
        ("**a **b** c**", "a b c", [("bold", "a b c", "")]),
        ("~~a~~ `*b*`", "a *b*", [("strike", "a", ""), ("code", "*b*", "")]),
        ("- a\n  - b\n- c", "• a\n   • b\n• c", []),
        ("3. a\n4. b", "3. a\n4. b", []),
        ("```py x\n  if a:\n```", "  if a:", [("pre", "  if a:", "py")]),
        ("[a](https://b.c) [d](javascript:e)", "a [d](javascript:e)", [("link", "a", "https://b.c")]),
        ("[a](/etc/passwd)", "a (/etc/passwd)", []),
        ("![a](https://b.c) <https://d.e/é>", "a https://d.e/é", [("link", "a", "https://b.c")]),
        ("[1]: https://b.c", "[1]: https://b.c", []),
        ("<b>a</b> &lt; \\*", "<b>a</b> < *", []),
        ("<script>\na\n</script>", "<script>\na\n</script>", []),
        ("> a\n> > b", "a\n\nb", [("quote", "a\n\nb", "")]),
        ("| a | b |\n|-|-|\n| **1** | [2](x) |", "a │ b\n──┼──────\n1 │ 2 (x)", None),
        ("a\n\n---\n\nb", "a\n\n———\n\nb", []),
    ],
)
def test_markdown_becomes_text_with_styles(
    markdown: str, text: str, expected: list[tuple[str, str, str]] | None
) -> None:
    message = one(markdown)
    assert message.text == text
    assert styles(message) == ([("pre", text, "")] if expected is None else expected)


def test_what_is_too_deep_or_too_long_to_be_read_is_shown_as_it_was_written() -> None:
    for markdown in ("> " * 2000 + "**deep**", "**long** " * 10_000):
        parts = split(blocks_of(markdown))
        assert "".join("".join(part.text for part in parts).split()) == "".join(markdown.split())
        assert not any(part.spans for part in parts)


def test_styles_are_told_in_utf_16_units() -> None:
    (entity,) = one("😀 **b😀**").entities()
    assert (entity.offset, entity.length) == (3, 3)


def test_code_that_fits_into_a_message_is_not_cut() -> None:
    code = "x\n" * 1500
    first, second, third = split(blocks_of(f"{'word ' * 500}\n\n```py\n{code}```\n\n{'word ' * 500}"))
    assert styles(second) == [("pre", code.rstrip(), "py")]
    assert first.spans == third.spans == ()


def test_a_fence_that_is_cut_is_closed_and_opened_again_with_its_language() -> None:
    messages = split(blocks_of("```py\n" + "    line of code\n" * 1000 + "```"))
    assert len(messages) > 3
    for message in messages:
        assert styles(message) == [("pre", message.text, "py")]
        assert message.text.startswith("    line")
        assert message.text.endswith("code")


def test_a_paragraph_too_long_for_a_message_is_cut_between_words_and_a_word_anywhere() -> None:
    assert [units(part.text) for part in split(plain("😀" * 3000))] == [4096, 1904]
    assert all(set(part.text.split()) == {"word"} for part in split(plain("word " * 3000)))


WORDS = st.text(st.sampled_from("ab😀é\n `*_#->[]()|~1."), max_size=40)
BLOCKS = st.one_of(
    WORDS,
    st.integers(1, 9000).map(lambda n: "w" * n),
    st.integers(1, 1200).map(lambda n: "word 😀 " * n),
    st.tuples(st.sampled_from(["", "py", "sh x"]), st.integers(1, 1200)).map(
        lambda how: f"```{how[0]}\n{'  a = 1😀' + chr(10)}{'b' + chr(10) * (how[1] % 3 + 1)}" + "c d\n" * how[1] + "```"
    ),
    st.integers(1, 400).map(lambda n: "\n".join(f"- item **{i}**" for i in range(n))),
    st.integers(1, 60).map(lambda n: "| a | b |\n|---|---|\n" + "| 1 | `2` |\n" * n),
)


@settings(max_examples=25)
@given(st.lists(BLOCKS, max_size=4).map("\n\n".join))
def test_in_pieces_no_word_is_lost_none_is_too_long_and_styles_stay(markdown: str) -> None:
    blocks = blocks_of(markdown)
    messages = split(blocks)
    assert "".join("".join(each.text for each in messages).split()) == "".join(
        "".join(each.text for each in blocks).split()
    )
    for message in messages:
        assert message.text.strip()
        assert units(message.text) == len(message.text.encode("utf-16-le")) // 2 <= MAX_UNITS
        for entity in message.entities():
            assert 0 <= entity.offset < entity.offset + entity.length <= units(message.text)
    for style in ("pre", "code", "bold"):
        assert letters(messages, style) == letters(blocks, style)


def letters(parts: list[Styled], style: str) -> str:
    """All that stands in a style, blanks left out, with what it is about."""
    spans: list[tuple[Styled, Span]] = [(part, span) for part in parts for span in part.spans if span.style == style]
    return "".join("".join(part.text[span.start : span.end].split()) for part, span in spans)


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_a_text_that_is_no_markdown_is_shown_as_it_stands(text: str) -> None:
    shown = "".join(part.text for part in split(plain(text)))
    assert "".join(shown.split()) == "".join(text.split())


@settings(max_examples=100)
@given(st.text(st.sampled_from("abc \n`*_#->[]()|~1.!<:\\"), max_size=80))
def test_no_letter_of_what_an_agent_writes_is_lost(markdown: str) -> None:
    """Marks are: and what stands behind the language of a fence, and the title of a link."""
    if "```" in markdown or "~~~" in markdown:
        return
    shown = "".join(part.text for part in split(blocks_of(markdown)))
    assert sorted(char for char in shown if char in "abc") == sorted(char for char in markdown if char in "abc")
