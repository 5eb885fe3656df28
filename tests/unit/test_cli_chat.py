"""The client of the web API, against a stand-in for it: what it asks, and what it shows for each answer."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from assistant.content import MAX_FILE_BYTES
from cli import chat
from cli.commands.chat import _with_files
from cli.errors import CommandFailed
from cli.folder import Folder
from cli.settings import CliSettings
from tests.support.pictures import PDF, PNG
from tests.unit.test_content import block

TOKEN = "a token of the test"
WAITING = {"session_id": "web_1", "message_id": 7, "job_id": 3, "status": "waiting", "response": None}
MINE = {"id": 7, "type": "human", "content": "hello", "state": "waiting", "turn_id": None}
ANSWERED = [{**MINE, "state": "answered", "turn_id": "t"}, {"id": 9, "type": "ai", "content": "hi", "turn_id": "t"}]


class Door:
    """Answers requests from a list, in order, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, Any]] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                assert self.headers["authorization"] == f"Bearer {TOKEN}"
                door.asked.append((self.command, self.path, json.loads(body) if body else None))
                status, answer = door.answers.pop(0)
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr("cli.chat.time.sleep", lambda _: None)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # must not stand between
    door = Door()
    threading.Thread(target=door.server.serve_forever, args=(0.01,), daemon=True).start()
    yield door
    door.server.shutdown()
    door.server.server_close()


def ask(door: Door, *, session: str | None = None, timeout_s: float = 60, as_json: bool = False) -> int:
    settings = CliSettings.read(url=door.url, token=TOKEN)
    return chat.ask(settings, "hello", session, timeout_s=timeout_s, as_json=as_json)


def test_an_answer_is_shown_with_the_session_to_go_on_with(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.answers = [(200, {**WAITING, "status": "answered", "response": "hi \x1b[2J"})]
    assert ask(door) == 0
    assert door.asked == [("POST", "/api/chat?wait_s=60", {"session_id": None, "message": "hello"})]
    shown = capsys.readouterr()
    assert shown.out == "hi \N{REPLACEMENT CHARACTER}[2J\n"
    assert shown.err == "session web_1\n"


def test_what_is_said_for_somebody_names_them(door: Door) -> None:
    door.answers = [(200, {**WAITING, "status": "answered", "response": "hi"})]
    settings = CliSettings.read(url=door.url, token=TOKEN)
    assert chat.ask(settings, "hello", None, user="u_1", timeout_s=60, as_json=False) == 0
    assert door.asked[0][2] == {"session_id": None, "message": "hello", "user_id": "u_1"}


def test_a_late_answer_is_waited_for(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    still = {"messages": [MINE]}
    door.answers = [(202, WAITING), (200, still), (200, {"state": "running"}), (200, {"messages": ANSWERED})]
    assert ask(door, session="web_1") == 0
    paths = [path for _, path, _ in door.asked]
    assert paths == [
        "/api/chat?wait_s=60",
        "/api/chat/web_1/messages?limit=50",
        "/api/jobs/3",
        "/api/chat/web_1/messages?limit=50",
    ]
    assert capsys.readouterr().out == "hi\n"


def test_a_turn_that_failed_is_told_on_stderr(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    word = {"id": 9, "type": "system", "content": "This could not be answered.", "turn_id": "t"}
    door.answers = [(202, WAITING), (200, {"messages": [{**MINE, "state": "failed", "turn_id": "t"}, word]})]
    assert ask(door) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()[0]) == ("", "jobs: This could not be answered.")


def test_a_job_that_ended_without_a_word_ends_the_waiting(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """A crash limit can end a turn's job; its message then waits for the chat's next one."""
    ended = {"state": "failed", "error": "its workers died"}
    door.answers = [(202, WAITING), (200, {"messages": [MINE]}), (200, ended)]
    assert ask(door) == 1
    assert "jobs: its workers died" in capsys.readouterr().err


def test_a_wait_that_is_over_names_the_job(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.answers = [(202, WAITING)]
    assert ask(door, timeout_s=0) == 1
    assert "./jobs show 3" in capsys.readouterr().err


def test_json_is_what_the_api_said_last(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.answers = [(202, WAITING), (200, {"messages": ANSWERED})]
    assert ask(door, as_json=True) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {**WAITING, "status": "answered", "response": "hi"}
    assert shown.err == ""


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((422, {"error": {"code": "c", "message": "message: is empty", "field": "message"}}), "^message: is empty$"),
        ((422, {"error": {"code": "c", "message": "is empty\x1b", "field": "message"}}), "^message: is empty.$"),
        ((401, {"error": {"code": "c", "message": "The token is wrong", "field": None}}), "^The token is wrong$"),
        ((502, b"<html>"), "it answered 502 and no JSON; is this a Jobs web API"),
        ((200, b"<html>"), "it answered 200 and no JSON"),
        ((500, {"detail": "odd"}), "it answered 500 and no JSON"),
    ],
)
def test_a_refusal_is_one_line(door: Door, answer: tuple[int, Any], says: str) -> None:
    door.answers = [answer]
    with pytest.raises(CommandFailed, match=says):
        ask(door)


def test_files_go_with_the_message_by_what_they_are(tmp_path: Path) -> None:
    for name, content in (("a.jpg", PNG), ("b.pdf", PDF), ("c", b"plain \xc3\xa9")):
        (tmp_path / name).write_bytes(content)
    said = _with_files("Look.", [tmp_path / "a.jpg", tmp_path / "b.pdf", tmp_path / "c"])
    assert said == [
        block(PNG, "image/png"),
        block(PDF, "application/pdf", "document", title="b.pdf"),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain é"}, "title": "c"},
        {"type": "text", "text": "Look."},
    ]
    assert _with_files("Look.", []) == "Look."


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\x7fELF\0", "is none of"), (PNG + bytes(MAX_FILE_BYTES), "make it smaller"), (b"", "is none of")],
    ids=["binary", "large", "empty"],
)
def test_a_file_that_cannot_be_taken_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(CommandFailed, match=says):
        _with_files("Look.", [tmp_path / "it"])


def test_an_api_that_is_not_there_is_said(tmp_path: Path) -> None:
    settings = CliSettings.read(url="http://127.0.0.1:1", token=TOKEN, data=tmp_path)
    with pytest.raises(CommandFailed, match=r"nothing answers at http://127\.0\.0\.1:1: start \./jobs up"):
        chat.ask(settings, "hello", None, timeout_s=1, as_json=False)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:hidden", "http://[hidden", "http://u:hidden@127.0.0.1:1", "http:///hidden"],
)
def test_a_url_that_cannot_be_used_is_said_without_repeating_it(url: str) -> None:
    with pytest.raises(CommandFailed, match=r"--url \(JOBS_URL\).*: write http://host:port") as caught:
        chat.find_api(CliSettings.read(url=url, token=TOKEN))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("token", ["a hidden tokén of the test", "a hidden token\nof the test", "a hidden token \t"])
def test_a_token_that_no_header_can_hold_is_said_without_repeating_it(door: Door, token: str) -> None:
    with pytest.raises(CommandFailed, match="set JOBS_TOKEN") as caught:
        chat.find_api(CliSettings.read(url=door.url).model_copy(update={"token": token})).call("GET", "/")
    assert "hidden" not in str(caught.value)


def test_the_folders_token_stays_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBS_TOKEN", raising=False)
    folder = Folder(tmp_path / "jobs")
    folder.make_token()
    for url in ("http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"):
        chat.find_api(CliSettings.read(url=url, data=folder.path))
    for url in ("http://127.0.0.1.example", "http://example:8080", "http://0.0.0.0:1"):
        with pytest.raises(CommandFailed, match="set JOBS_TOKEN to its own"):
            chat.find_api(CliSettings.read(url=url, data=folder.path))
        assert chat.find_api(CliSettings.read(url=url, token=TOKEN, data=folder.path))


def test_without_an_up_there_is_nobody_to_ask(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"no \./jobs up runs in"):
        chat.ask(CliSettings.read(data=tmp_path), "hello", None, timeout_s=1, as_json=False)
