"""`./jobs setup` as a person meets it: on a terminal, with a real Postgres, the real CLI and the simulator as the provider."""

import os
import select
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cli import saved
from cli.model import PROBE_COMMAND
from simulator.client import SimulatorControl
from tests.support.processes import until
from tests.support.sessions import KEY
from tests.support.up import Home


class Terminal:
    """A terminal, and the command on it."""

    def __init__(self, ours: int, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.shown = ""
        self._ours = ours
        self._read = 0

    def answer(self, question: str, text: str, *, hidden: bool = False) -> None:
        """Wait until it is asked, and no more is shown of what is typed if that is hidden; type."""
        self.read(question)
        if hidden:
            until(lambda: not termios.tcgetattr(self._ours)[3] & termios.ECHO, "what is typed is hidden", 60)
        os.write(self._ours, f"{text}\n".encode())

    def read(self, wanted: str) -> None:
        """Wait until this is shown, after what was waited for before."""
        while wanted not in self.shown[self._read :]:
            assert select.select([self._ours], [], [], 60)[0], f"{wanted} is not shown: {self.shown}"
            self.shown += os.read(self._ours, 4096).decode()
        self._read = self.shown.index(wanted, self._read) + len(wanted)

    def interrupt(self) -> int:
        """Ctrl-C; its exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)


@contextmanager
def on_terminal(home: Home, *arguments: str, **environment: str) -> Iterator[Terminal]:
    ours, its = os.openpty()
    command = [*home._command, "setup", *arguments]
    env = {**home._environment, "TERM": "dumb", **environment}
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env=env, cwd="/", start_new_session=True
    ) as process:
        os.close(its)
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            os.close(ours)


def arguments_below(pid: int) -> list[list[str]]:
    """Of the processes below this one, as every user can see them."""
    found = list[list[str]]()
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            found.append(child.cmdline())
    return found


def test_a_newcomer_is_asked_again_for_what_does_not_work_and_no_secret_is_shown(
    tmp_path: Path, database_url: str, sim: SimulatorControl
) -> None:
    home = Home(tmp_path)
    file = tmp_path / "data" / saved.FILE
    saved.write(file, {"ANTHROPIC_BASE_URL": sim.url})  # as somebody has who does not call Anthropic
    with on_terminal(home) as terminal:
        terminal.answer("[embedded]:", "own")
        terminal.answer("not shown):", "postgresql://me:sesame@127.0.0.1:1/x", hidden=True)
        terminal.read("cannot be reached")
        terminal.answer("[embedded]:", "own")
        terminal.answer("not shown):", database_url, hidden=True)
        terminal.answer("[simulator]:", "key")
        terminal.answer("not shown):", "sk-wrong", hidden=True)
        terminal.answer("[claude-sonnet-5]:", "")
        terminal.read("credentials")
        arguments = [psutil.Process(terminal.process.pid).cmdline()]
        terminal.answer("[simulator]:", "key")
        terminal.answer("not shown):", KEY, hidden=True)
        terminal.answer("[claude-sonnet-5]:", "")
        until(lambda: PROBE_COMMAND in str(arguments_below(terminal.process.pid)), "the model is tried", 60)
        arguments += arguments_below(terminal.process.pid)
        terminal.answer("workspaces]:", "")
        terminal.answer("[none]:", "77")
        terminal.answer("[owner]:", "Ada")
        terminal.answer("Your time zone", "Europe/Berlin")
        terminal.answer("[y/N]:", "n")
        terminal.read("./jobs doctor")
        assert terminal.process.wait(60) == 0
    for secret in ("sesame", "sk-wrong", KEY, database_url):
        assert secret not in terminal.shown + str(arguments)
    assert saved.read(file) == {
        "ANTHROPIC_BASE_URL": sim.url,
        "DATABASE_URL": database_url,
        "ANTHROPIC_API_KEY": KEY,
        "JOBS_OWNER_TG_USER_ID": "77",
    }
    assert file.stat().st_mode & 0o777 == 0o600

    before = file.read_text()
    with on_terminal(home) as terminal:
        for question in ("[own]:", "as it is):", "[key]:", "as it is):", "[claude-sonnet-5]:", "workspaces]:", "[77]:"):
            terminal.answer(question, "", hidden="as it is" in question)
        terminal.answer("[Ada]:", "Eve")
        terminal.read("[Europe/Berlin]:")
        assert terminal.interrupt() == 130
        terminal.read("Nothing was saved.")
    assert file.read_text() == before
