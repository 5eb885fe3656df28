"""`./jobs up` and the other commands as a person runs them: real processes in a folder of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

from tests.support.processes import until

CHECKOUT = Path(__file__).resolve().parents[2]
_OURS = ("ANTHROPIC_", "CLAUDE", "JOBS_", "DATABASE_URL", "PROMETHEUS_", "PG", "PYTEST_", "PYTHONUNBUFFERED")
READY_WITHIN_S = 60


class Home:
    """One folder of `up`, and commands that find it there, or the database of `database_url`.

    `prefix` and `python` run them as somebody else.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        python: Path = Path(sys.executable),
        prefix: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.cwd = Path("/")
        self._command = [*prefix, str(python), "-P", "-m", "cli"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self._environment = {
            **kept,
            "PYTHONPATH": str(CHECKOUT),
            "JOBS_DATA": str(folder / "data"),
            "JOBS_SCRATCH_FOLDER": str(folder / "cli"),
            "HOME": str(folder),
        }
        if database_url:
            self._environment["DATABASE_URL"] = database_url

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self._command, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self.cwd,
            env=self._environment | environment,
        )

    def json(self, command: str, *arguments: str) -> Any:
        """The answer of a command that succeeds."""
        ran = self.run(command, "--json", *arguments)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def start(self, *arguments: str, **environment: str) -> "Started":
        """Start a command that goes on; its log is `log` in the folder."""
        return Started(self, [*self._command, *arguments], self._environment | environment)

    @contextmanager
    def up(self, *arguments: str, **environment: str) -> Iterator["Started"]:
        """`up` on a free port, ready; nothing of it is left after the block."""
        try:
            with self.start("up", "--port", "0", "--json", *arguments, **environment) as up:
                up.await_ready()
                yield up
        finally:
            self.kill_all()

    def left(self) -> list[psutil.Process]:
        """All live processes that know the folder: by an argument, a variable or their working directory."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid() and self._knows(process):
                    found.append(process)
        return found

    def kill_all(self) -> None:
        """SIGKILL for everything at once, as when the machine dies; returns when nothing is left."""
        while left := self.left():
            for process in left:
                with suppress(psutil.Error):
                    process.kill()

    def _knows(self, process: psutil.Process) -> bool:
        places = [*process.cmdline(), *process.environ().values(), process.cwd()]
        return any(str(self.folder) in place for place in places)


class Started:
    """A command that goes on; leaving the block kills it and all below it."""

    def __init__(self, home: Home, command: Sequence[str], environment: dict[str, str]) -> None:
        self.log = home.folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=home.cwd, env=environment, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self.url = ""
        self.model = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(psutil.Error):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                process.kill()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def await_ready(self) -> None:
        """Wait for the line that `up --json` prints when it is ready."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"up ended with {self.process.wait()}:\n{self.log.read_text()}"
        ready = json.loads(line)
        self.url, self.model = ready["url"], ready["model"]

    def interrupt(self) -> None:
        """Ctrl-C: SIGINT to the foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def stop(self) -> int:
        """Ctrl-C, and its exit status."""
        self.interrupt()
        return self.process.wait(90)

    def children(self) -> dict[str, psutil.Process]:
        """The processes right below it, by what they are."""
        found: dict[str, psutil.Process] = {}
        names = ("supervise", "serve", "simulator", "cli.postgres_keeper", "worker-process")
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                found |= {name: child for name in names if name in child.cmdline()}
        return found

    def await_children(self, *names: str) -> dict[str, psutil.Process]:
        """Wait until it has these, and return them."""
        until(lambda: set(names) <= set(self.children()), f"{names} run", READY_WITHIN_S)
        return self.children()


def refused(home: Home, *arguments: str, **environment: str) -> str:
    """The last line of an `up` that ended by itself with status 1, never got ready, and left nothing running."""
    ran = home.run("up", "--port", "0", *arguments, **environment)
    assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
    assert "Traceback" not in ran.stderr
    assert home.left() == []
    assert not (home.folder / "data" / "up.json").exists()
    errors = [line for line in ran.stderr.splitlines() if line.startswith("jobs: ")]
    assert errors == ran.stderr.splitlines()[-1:]
    return errors[0]
