"""Lines that name what came with a message."""

import math

import pytest
from telethon import types

from gateways.telegram.attachments import attachment_of


@pytest.mark.parametrize(
    ("seconds", "line"), [(72.4, "1:12"), (math.nan, "?"), (math.inf, "?"), (-5.0, "?"), (1e300, "?")]
)
def test_a_length_that_is_none_is_told_as_that(seconds: float, line: str) -> None:
    """A sender's program says it; a raise would lose the message."""
    video = [types.DocumentAttributeVideo(seconds, 1, 1)]
    document = types.Document(1, 1, b"", None, "video/mp4", 1, 2, video)
    assert attachment_of(types.MessageMediaDocument(document=document)) == f"[video {line}]"
