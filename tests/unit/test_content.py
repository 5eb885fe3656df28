"""Content that comes as a string or as blocks, and files in it."""

import base64
from typing import Any

import pytest

from assistant import content
from assistant.content import MAX_FILE_BYTES, MAX_TEXT_FILE_BYTES, File, Spoken, blocks_of, file_block, read_content
from jobs_core import InvalidInput
from tests.support.pictures import GIF, JPEG, PDF, PNG, WEBP


def block(data: bytes, media_type: str, kind: str = "image", **more: Any) -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
    return {"type": kind, "source": source, **more}


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("hello", "hello"),
        ("", ""),
        ([], ""),
        (["one", {"type": "text", "text": "two"}], "one\n\ntwo"),
        ([{"type": "text", "text": "one", "cache_control": None}, " ", "two"], "one\n\ntwo"),
    ],
)
def test_content_is_one_text_however_it_comes(said: Any, text: str) -> None:
    assert read_content(said).text == text
    assert not read_content(said).files


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "image", "source": {}},
        {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/x.png"}},
        {"type": "tool_result"},
        {"type": "text"},
        {"type": "text", "text": 1},
        7,
        None,
        block(b"GIF8 or so", "image/png"),
        block(b"\x7fELF", "image/png"),
        block(PNG, "application/pdf"),
        block(PDF, "application/pdf"),
        block(b"<svg/>", "image/svg+xml"),
        block(b"", "text/plain", "document"),
        block(b"a\0b", "text/plain", "document"),
        block(b"RIFF0000WAVE", "image/webp"),
        block(PDF, "application/pdf", "document", title=""),
        block(PDF, "application/pdf", "document", title="a\x1b[2J"),
        block(PDF, "application/pdf", "document", title=7),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "no base64!"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a\0b"}},
        block(PNG + bytes(MAX_FILE_BYTES), "image/png"),
        block(b"a" * (MAX_TEXT_FILE_BYTES + 1), "text/plain", "document"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_block_that_is_not_taken_is_refused_by_its_place(wrong: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_content(["fine", wrong], field="message")
    assert caught.value.field.startswith("message.1")


@pytest.mark.parametrize(
    ("data", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (GIF, "image/gif"), (WEBP, "image/webp")]
)
def test_pictures_stand_where_they_were_said(data: bytes, media_type: str) -> None:
    said = read_content(["Look:", block(data, media_type), "Well?"])
    assert said == Spoken("Look:\n\nWell?", [File(media_type, data, None, 5)])
    assert blocks_of([said]) == [
        {"type": "text", "text": "Look:"},
        block(data, media_type),
        {"type": "text", "text": "Well?"},
    ]


def test_documents_keep_their_titles_and_texts_are_sent_as_text() -> None:
    said = read_content(
        [block(PDF, "application/pdf", "document", title="a.pdf"), block("é\n".encode(), "text/plain", "document")]
    )
    assert said.text == ""
    assert blocks_of([said]) == [
        block(PDF, "application/pdf", "document", title="a.pdf"),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é\n"}},
    ]


def test_what_was_said_without_files_is_one_text_unchanged() -> None:
    said = [Spoken("  one\n\n"), Spoken("\n\ntwo")]
    assert blocks_of(said) == "  one\n\n\n\n\n\ntwo"


def test_messages_with_and_without_files_keep_their_order() -> None:
    said = [Spoken("one"), read_content([block(PNG, "image/png"), "two"]), Spoken("three")]
    assert [part.get("text", part["type"]) for part in blocks_of(said) if isinstance(part, dict)] == [
        "one",
        "image",
        "two",
        "three",
    ]


def test_how_many_files_a_message_has_and_how_large_they_are_together_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidInput, match="101 blocks, at most 100"):
        read_content(["a"] * 101)
    with pytest.raises(InvalidInput, match="11 files, at most 10"):
        read_content([block(PNG, "image/png")] * 11)
    monkeypatch.setattr(content, "MAX_FILES_BYTES", 3 * len(PNG) - 1)
    read_content([block(PNG, "image/png")] * 2)
    with pytest.raises(InvalidInput, match="its files have"):
        read_content([block(PNG, "image/png")] * 3)


@pytest.mark.parametrize("said", [bytes(3), b"\xff\xfe\x00", b" \n"])
def test_bytes_of_no_type_that_is_taken_make_no_block(said: bytes) -> None:
    assert file_block(said, "a") is None
