"""Text with its styles, which can be joined, cut and told to Telegram.

Places are counted in characters here; Telegram counts UTF-16 units, of which an emoji takes two. Styles of text that is cut go
on in each part: so a fence of code that is cut is closed, and opened again with its language.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

from telethon import types

Style = Literal["bold", "italic", "strike", "code", "pre", "link", "quote"]

_ENTITIES: dict[str, Any] = {
    "bold": types.MessageEntityBold,
    "italic": types.MessageEntityItalic,
    "strike": types.MessageEntityStrike,
    "code": types.MessageEntityCode,
    "pre": types.MessageEntityPre,
    "link": types.MessageEntityTextUrl,
    "quote": types.MessageEntityBlockquote,
}
_BLANK = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Span:
    """A style from one place of a text to another. about: the language of `pre`, the address of `link`."""

    start: int
    end: int
    style: Style
    about: str = ""


@dataclass(frozen=True, slots=True)
class Styled:
    """A text, and its styles, each with something in it."""

    text: str = ""
    spans: tuple[Span, ...] = ()

    @classmethod
    def join(cls, between: str, parts: Iterable[Self]) -> Self:
        """These, one after another, with that text between them."""
        texts, spans, at = list[str](), list[Span](), 0
        for part in parts:
            if texts:
                texts.append(between)
                at += len(between)
            texts.append(part.text)
            spans += [Span(span.start + at, span.end + at, span.style, span.about) for span in part.spans]
            at += len(part.text)
        return cls("".join(texts), tuple(spans))

    def within(self, style: Style, about: str = "") -> Self:
        """All of it in that style; where a part of it was in that style already, it is so once."""
        if not self.text:
            return self
        inner = [span for span in self.spans if span.style != style]
        return type(self)(self.text, (Span(0, len(self.text), style, about), *inner))

    def cut(self, start: int, end: int) -> Self:
        """What stands between two places, with what it is styled."""
        spans = (
            Span(max(span.start, start) - start, min(span.end, end) - start, span.style, span.about)
            for span in self.spans
        )
        return type(self)(self.text[start:end], tuple(span for span in spans if span.start < span.end))

    def __bool__(self) -> bool:
        return bool(self.text)

    def stripped(self) -> Self:
        """Without blanks at both ends, as Telegram shows it; the first line of code keeps its indentation."""
        end = len(self.text.rstrip())
        match = _BLANK.match(self.text)
        start = min(match.end() if match else 0, end)
        if any(span.style == "pre" and span.start <= start < span.end for span in self.spans):
            start = self.text.rfind("\n", 0, start) + 1
        return self.cut(start, end)

    def entities(self) -> list[Any]:
        """The styles as Telegram takes them."""
        places = sorted({place for span in self.spans for place in (span.start, span.end)})
        at, units_at, done = dict[int, int](), 0, 0
        for place in places:
            units_at += units(self.text[done:place])
            at[place], done = units_at, place
        return [_entity(span, at[span.start], at[span.end] - at[span.start]) for span in self.spans]


def units(text: str) -> int:
    """How long Telegram says that a text is."""
    return len(text) + sum(char > "\uffff" for char in text)


def _entity(span: Span, offset: int, length: int) -> Any:
    about = [span.about] if span.style in {"pre", "link"} else []
    return _ENTITIES[span.style](offset, length, *about)
