"""What a session has read, off its transcript."""

from typing import Any

from sessions import HasRead, what_was_read


def call(name: str, **given: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": "x", "name": name, "input": given}
    return {"type": "assistant", "message": {"content": [block]}}


def test_tools_files_addresses_and_messages_are_found_the_newest_first() -> None:
    entries = [
        {"type": "user", "promptSource": "sdk", "message": {"content": "hi"}},
        call("Read", file_path="/a"),
        call("Read", file_path="/b"),
        call("Grep", path="/a", pattern="x"),
        call("WebFetch", url="https://e.org"),
        {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "x"}]}},
    ]
    tools = {"Read": 2, "Grep": 1, "WebFetch": 1}
    assert what_was_read(entries) == HasRead(tools, ["/a", "/b"], ["https://e.org"], 1, more=False)


def test_it_is_bounded_and_holds_nothing_that_cannot_be_stored() -> None:
    entries = [call("Read", file_path=f"/{n}\x00\ud800" + "a" * 1_000) for n in range(60)]
    odd = {"type": "assistant", "message": {"content": [{"type": "tool_use", "input": ["file_path"]}]}}
    read = what_was_read(
        [*entries, call("Read", file_path=7), odd, {"message": {"content": [None]}}, {"message": None}]
    )
    assert (len(read.files), len(read.files[0]), read.more) == (50, 300, True)
    assert not {"\x00", "\ud800"} & set("".join(read.files))
