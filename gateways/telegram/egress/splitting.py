"""Cuts a long text into messages of 4,096 UTF-16 units at most, where it hurts least.

What fits into a message is not cut: paragraphs, lists, code. What is longer by itself is cut at the end of a line, else between
words, else anywhere; its style goes on in the next message.
"""

from collections.abc import Iterable, Iterator

from gateways.telegram.egress.styled import Styled, units

MAX_UNITS = 4096
"""core.telegram.org/api/config#message-length-max"""
_BETWEEN = "\n\n"


def split(blocks: Iterable[Styled], *, max_units: int = MAX_UNITS) -> list[Styled]:
    """The messages, in order, none of them blank; [] for what is all blank."""
    messages, gathered, size = list[Styled](), list[Styled](), 0
    for part in _parts(blocks, max_units):
        more = units(part.text) + len(_BETWEEN) * bool(gathered)
        if size + more > max_units:
            messages.append(Styled.join(_BETWEEN, gathered))
            gathered, size, more = [], 0, units(part.text)
        gathered.append(part)
        size += more
    return [*messages, Styled.join(_BETWEEN, gathered)] if gathered else messages


def plain(text: str) -> list[Styled]:
    """The paragraphs of a text without styles."""
    return [Styled(paragraph) for paragraph in text.split(_BETWEEN)]


def _parts(blocks: Iterable[Styled], max_units: int) -> Iterator[Styled]:
    """The blocks, those too long for a message in parts; none of them blank."""
    for block in blocks:
        start = 0
        while start < len(block.text):
            end = _end(block.text, start, max_units)
            if part := block.cut(start, end).stripped():
                yield part
            start = end


def _end(text: str, start: int, max_units: int) -> int:
    """Where the part that begins there ends."""
    end = min(start + max_units, len(text))
    while (over := units(text[start:end]) - max_units) > 0:
        end -= (over + 1) // 2  # a character takes two units at most
    if end == len(text):
        return end
    middle = (start + end) // 2
    for between, least in (("\n\n", middle), ("\n", middle), (" ", middle), ("\n", start + 1), (" ", start + 1)):
        if (found := text.rfind(between, least, end)) >= 0:
            return found + len(between)
    return end
