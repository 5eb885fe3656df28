"""What the agent reads of a message: what the person says, and before it, marked, what others said that it is about.

Each line of somebody else's words begins with `> `, so that nothing in them can pass for the end of the quote.
"""

from collections.abc import Sequence

from gateways.telegram.incoming import Incoming
from jobs_core import gate

_MAX_QUOTED_CHARS = 2_000
_MAX_CHARS = 20_000  # many times what Telegram lets anybody write
_MAX_OVERHEARD_CHARS = 20_000


def words_of(message: Incoming) -> str:
    """What one message says by itself: its text, whose it is where it is not the sender's, and a line for what came with it."""
    text = gate.clean_text("\n".join(filter(None, (message.attachment, message.text))), max_chars=_MAX_CHARS)
    if message.forwarded_from is None:
        return text
    return f"[Forwarded; these are the words of {_name(message.forwarded_from)}:]\n{quoted(text)}"


def with_reply(text: str, replied: str | None) -> str:
    """The words, below those that they answer."""
    return text if replied is None else f"[In reply to:]\n{quoted(replied)}\n{text}"


def with_edit(text: str, before: str) -> str:
    """The words of a message that was changed after it was taken up."""
    return f"[Changed afterwards; before, it said:]\n{quoted(before)}\n{text}"


def with_overheard(text: str, overheard: Sequence[tuple[str, str]]) -> str:
    """The words, below what others said in the group before: names and texts, the newest 20,000 characters of them."""
    lines, left = list[str](), _MAX_OVERHEARD_CHARS
    for name, said in reversed(overheard):
        line = quoted(f"{_name(name)}: {said}")
        left -= len(line)
        if left < 0:
            break
        lines.insert(0, line)
    return "\n".join(["[Said in the group before, to others:]", *lines, text]) if lines else text


def quoted(text: str) -> str:
    """Somebody else's words, each line marked, cut to 2,000 characters."""
    text = gate.clean_text(text, max_chars=_MAX_CHARS)
    cut = text if len(text) <= _MAX_QUOTED_CHARS else f"{text[:_MAX_QUOTED_CHARS]} …"
    return "\n".join(f"> {line}" for line in cut.splitlines())


def _name(name: str) -> str:
    seen = "".join(char if char.isprintable() else " " for char in name)
    return " ".join(seen.split())[:100] or "somebody"
