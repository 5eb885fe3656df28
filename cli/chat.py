"""The web API's client behind `./jobs chat`: says something, waits for the reply, shows it.

POST /api/chat ── 200 ─▶ reply
               └─ 202 ─▶ look at the chat's messages, every 0.2 s … 2 s, until the reply stands there

On a terminal it does not wait for the 200: it follows the chat's events first (`chat_stream`), and looks where these break off.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from cli.chat_stream import Terminal, follow, on_terminal
from cli.errors import CommandFailed
from cli.folder import Folder
from cli.printing import plain, print_json, print_plain, warn
from cli.settings import CliSettings

_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.2, 2.0
_ANSWER_MARGIN_S = 15.0
_SERVER_WAITS_S = 60.0  # then it answers 202
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_NEWEST = 50

Content = str | list[dict[str, Any]]
"""A message as the API takes it: text, or blocks."""


class Api:
    """One web API. Every call raises CommandFailed with one line where it is not answered as asked."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        # A proxy from the environment must not stand between two programs on one machine.
        on_this_machine = _host(url) in _LOOPBACK
        if not (token.isascii() and token.isprintable() and token == token.strip()):
            raise CommandFailed("the token holds what no HTTP header can: set JOBS_TOKEN to what ./jobs token prints")
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, trust_env=not on_this_machine)

    def call(self, method: str, path: str, *, json: Any = None, timeout_s: float = 30.0) -> Any:
        """The JSON that the API answers with."""
        try:
            response = self._http.request(method, path, json=json, timeout=timeout_s)
        except httpx.ConnectError:
            raise CommandFailed(f"nothing answers at {self.url}: start ./jobs up, or give another --url") from None
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise CommandFailed(
                f"{self.url} broke off ({why}): whether it took the message is not known, ./jobs ls lists what it took"
            ) from error
        return _answer_of(response)

    @contextmanager
    def lines(self, path: str, silence_s: float) -> Iterator[Iterator[str]]:
        """The lines of a stream, which may be silent for so long. Raises httpx.HTTPError where it cannot be had, or breaks."""
        timeout = httpx.Timeout(30.0, read=silence_s)
        with self._http.stream("GET", path, timeout=timeout) as response:
            response.raise_for_status()
            yield response.iter_lines()


def find_api(settings: CliSettings) -> Api:
    """The API to talk to: JOBS_URL, else the `up` that runs in the folder. Raises CommandFailed where there is none."""
    folder = Folder(settings.data)
    if settings.url:
        if _host(settings.url) not in _LOOPBACK and not settings.token:
            raise CommandFailed("--url is not on this machine, whose token it must not get: set JOBS_TOKEN to its own")
        return Api(settings.url, settings.token or folder.token())
    running = folder.running()
    if running is None:
        raise CommandFailed(f"no ./jobs up runs in {folder.path}: start one, or set JOBS_URL and JOBS_TOKEN")
    return Api(running.url, settings.token or folder.token())


def _host(url: str) -> str:
    """The URL's host. Raises CommandFailed, which does not repeat the URL, for one that cannot be used."""
    try:
        urlsplit(url)  # refuses a lone bracket, which httpx takes for a name
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise CommandFailed("--url (JOBS_URL) is no URL: write http://host:port") from None
    if parts.userinfo or not parts.host:  # httpx would send user and password in the token's place
        raise CommandFailed("--url (JOBS_URL) takes a host and no user: write http://host:port, and set JOBS_TOKEN")
    return parts.host


def ask(
    settings: CliSettings,
    message: str | list[dict[str, Any]],
    session_id: str | None,
    *,
    agent: str | None = None,
    user: str | None = None,
    timeout_s: float,
    as_json: bool,
) -> int:
    """Say it and show what comes back; returns the exit status: 0 for an answer, 1 where there is none.

    agent: say it to this one, as a trial in a chat of its own. user: whose words they are, by id; None: the owner's.
    """
    api = find_api(settings)
    until = time.monotonic() + timeout_s
    path, said = "/api/chat", {"session_id": session_id, "message": message}
    if agent is not None:
        path, said = f"/api/agents/{quote(agent, safe='')}/try", {"message": message}
    if user is not None:
        said["user_id"] = user
    shown = ""
    with ExitStack() as waiting:
        waiting.enter_context(_progress())
        if on_terminal() and not as_json:
            reply, shown = _watch(api, path, said, until, waiting)
        else:
            wait_s = min(timeout_s, _SERVER_WAITS_S)
            reply = api.call("POST", f"{path}?wait_s={wait_s:g}", json=said, timeout_s=wait_s + _ANSWER_MARGIN_S)
        look_s = _FIRST_LOOK_S
        while reply["status"] == "waiting" and time.monotonic() < until:
            time.sleep(look_s)
            look_s = min(look_s * 1.5, _LONGEST_LOOK_S)
            reply = _look(api, reply)
    return _show(reply, as_json=as_json, shown=shown)


def _watch(api: Api, path: str, said: dict[str, Any], until: float, waiting: ExitStack) -> tuple[dict[str, Any], str]:
    """Say it, print what happens in the chat, and return the reply by then, and the text that was printed last."""

    def write(text: str) -> None:
        waiting.close()
        sys.stdout.write(text)
        sys.stdout.flush()

    reply = api.call("POST", f"{path}?wait_s=0", json=said, timeout_s=_SERVER_WAITS_S + _ANSWER_MARGIN_S)
    events = f"/api/chat/{quote(reply['session_id'], safe='')}/events?after={reply['message_id']}"
    terminal = Terminal(write)
    if reply["status"] == "waiting":
        try:
            reply = follow(partial(api.lines, events), reply, partial(_look, api), terminal, until=until)
        except KeyboardInterrupt:
            terminal.end()
            waiting.close()
            _say_it_is_safe(reply)
            raise
    shown = terminal.text
    terminal.end()
    return reply, shown


def _look(api: Api, reply: dict[str, Any]) -> dict[str, Any]:
    """The reply as it stands now."""
    path = f"/api/chat/{quote(reply['session_id'], safe='')}/messages?limit={_NEWEST}"
    messages = api.call("GET", path)["messages"]
    own = next((line for line in messages if line["id"] == reply["message_id"]), None)
    if own and own["state"] in {"answered", "failed"}:
        came = next(line for line in messages if line["turn_id"] == own["turn_id"] and line["type"] != "human")
        return {**reply, "status": own["state"], "response": came["content"]}
    job = api.call("GET", f"/api/jobs/{reply['job_id']}")
    if job["state"] in {"failed", "cancelled"}:
        return {**reply, "status": "failed", "response": job["error"]}
    return reply


def _show(reply: dict[str, Any], *, as_json: bool, shown: str = "") -> int:
    if as_json:
        print_json(reply)
    elif reply["status"] == "answered":
        if reply["response"].strip() != shown.strip():
            print_plain(reply["response"])
    elif reply["status"] == "failed":
        warn(reply["response"] or "there will be no answer, and no reason was given")
    else:
        _say_it_is_safe(reply)
    if not as_json:
        _dim(f"session {reply['session_id']}")
    return 0 if reply["status"] == "answered" else 1


def _say_it_is_safe(reply: dict[str, Any]) -> None:
    warn(f"no answer yet; the message is safe: ./jobs show {reply['job_id']} tells how it goes")


def _answer_of(response: httpx.Response) -> Any:
    try:
        body = response.json()
        if response.is_success:
            return body
        error = body["error"]
        said = f"{error['field']}: {error['message']}" if _adds_field(error) else error["message"]
    except (ValueError, KeyError, TypeError):
        said = f"it answered {response.status_code} and no JSON; is this a Jobs web API?"
        raise CommandFailed(f"{response.url}: {said}") from None
    raise CommandFailed(plain(said))


def _adds_field(error: dict[str, Any]) -> bool:
    return bool(error["field"]) and not error["message"].startswith(error["field"])


def _progress() -> AbstractContextManager[Any]:
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status("waiting for the answer; Ctrl-C stops the waiting, not the work")


def _dim(text: str) -> None:
    if not sys.stderr.isatty():
        sys.stderr.write(plain(text) + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(plain(text), style="dim"))
