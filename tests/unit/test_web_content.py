"""Content that comes as a string or as blocks."""

from typing import Any

import pytest

from assistant.content import text_of
from jobs_core import InvalidInput


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("hello", "hello"),
        ("", ""),
        ([], ""),
        (["one", {"type": "text", "text": "two"}], "one\n\ntwo"),
        ([{"type": "text", "text": "one", "cache_control": None}, " ", "two"], "one\n\ntwo"),
    ],
)
def test_content_is_one_text_however_it_comes(content: Any, text: str) -> None:
    assert text_of(content) == text


@pytest.mark.parametrize(
    "block", [{"type": "image", "source": {}}, {"type": "text"}, {"type": "text", "text": 1}, 7, None]
)
def test_a_block_that_is_not_text_is_refused_by_its_place(block: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        text_of(["fine", block], field="message")
    assert caught.value.field == "message.1"
