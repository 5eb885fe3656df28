"""What was said, as text: content comes as a string or as a list of blocks, from the web, from Telegram and from a model."""

from collections.abc import Sequence
from typing import Any

from jobs_core import InvalidInput


def text_of(content: str | Sequence[Any], *, field: str = "content") -> str:
    """The text of a content; several blocks become paragraphs, blank ones are left out.

    A block is a string or `{"type": "text", "text": …}`. Raises InvalidInput naming the block that is neither: what a person
    sent is never dropped without a word.
    """
    if isinstance(content, str):
        return content
    texts = [_text_of_block(block, f"{field}.{index}") for index, block in enumerate(content)]
    return "\n\n".join(text for text in texts if text.strip())


def _text_of_block(block: Any, place: str) -> str:
    match block:
        case str(text) | {"type": "text", "text": str(text)}:
            return text
        case {"type": str(kind)}:
            raise InvalidInput(f"{place}: is of type {kind[:40]!r}; only text can be said here", field=place)
    raise InvalidInput(f'{place}: is neither a string nor {{"type": "text", "text": …}}', field=place)
