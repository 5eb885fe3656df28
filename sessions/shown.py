"""What a watcher of a turn sees by now: the events so far, put together, so that somebody who comes late starts from it.

    text, text, call, text, result ─▶ items: [text][call with its result][text] · status · cost

Bounded: of what is larger than MAX_SIZE the oldest is dropped, and counted.
"""

from collections.abc import Mapping
from typing import Any

MAX_SIZE = 128 * 1024
"""Characters, and 100 more for each item."""
_OF_AN_ITEM = 100

Item = dict[str, Any]


class Shown:
    """What one run of a turn has shown.

    items: in order, each with its `kind`: `text` (`text`, `message`, `parent`), `tool_call` (`id`, `name`, `input`, `parent`,
    and once it is there `result`, with `text` and `is_error`), or `tool_result`, whose call is not shown.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.status: Mapping[str, Any] | None = None
        self.cost: Mapping[str, Any] | None = None
        self.dropped_chars = 0
        self._size = 0

    def apply(self, kind: str, about: Mapping[str, Any]) -> None:
        """Take in an event; a `reset`, as `as_reset` makes it, takes the place of all there was."""
        match kind:
            case "reset":
                self.items = [dict(item) for item in about["items"]]
                self.status, self.cost = about["status"], about["cost"]
                self.dropped_chars = about["dropped_chars"]
                self._size = sum(map(_size, self.items))
            case "text":
                self._add_text(about)
            case "void":
                self.items = [item for item in self.items if not _is_said_in(item, about)]
                self._size = sum(map(_size, self.items))
            case "tool_call":
                self._add({"kind": kind, **about})
            case "tool_result":
                self._add_result(about)
            case "status":
                self.status = dict(about)
            case "cost":
                self.cost = dict(about)

    def as_reset(self) -> dict[str, Any]:
        """All of it, as what `reset` is about."""
        return {
            "items": [dict(item) for item in self.items],
            "status": self.status,
            "cost": self.cost,
            "dropped_chars": self.dropped_chars,
        }

    def text(self) -> str:
        """What the agent itself has said since its last call of a tool."""
        said = list[str]()
        for item in reversed(self.items):
            if item["parent"] is None:
                if item["kind"] != "text":
                    break
                said.append(item["text"])
        return "".join(reversed(said))

    def _add_text(self, about: Mapping[str, Any]) -> None:
        last = self.items[-1] if self.items else None
        if last and _is_said_in(last, about):
            last["text"] += about["text"]
            self._size += len(about["text"])
            self._drop_oldest()
        else:
            self._add({"kind": "text", **about})

    def _add_result(self, about: Mapping[str, Any]) -> None:
        for item in reversed(self.items):
            if item["kind"] == "tool_call" and item["id"] == about["id"]:
                self._size -= _size(item)
                item["result"] = {"text": about["text"], "is_error": about["is_error"]}
                self._size += _size(item)
                self._drop_oldest()
                return
        self._add({"kind": "tool_result", **about})  # of a call of an earlier run: approved, it runs in the next

    def _add(self, item: Item) -> None:
        self.items.append(item)
        self._size += _size(item)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while (over := self._size - MAX_SIZE) > 0:
            oldest = self.items[0]
            if oldest["kind"] == "text" and len(oldest["text"]) > over:
                oldest["text"] = oldest["text"][over:]
                self._size -= over
                self.dropped_chars += over
            else:
                self._size -= _size(oldest)
                self.dropped_chars += _chars(self.items.pop(0))


def _is_said_in(item: Item, about: Mapping[str, Any]) -> bool:
    """Whether an item is text of that message."""
    return bool(item["kind"] == "text" and item["message"] == about["message"] and item["parent"] == about["parent"])


def _size(item: Item) -> int:
    """How much of the room an item takes."""
    return _OF_AN_ITEM + _chars(item)


def _chars(item: Item) -> int:
    if item["kind"] != "tool_call":
        return len(item["text"])
    return len(item["name"]) + len(item["input"]) + len(item.get("result", {}).get("text", ""))
