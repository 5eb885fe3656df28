"""A worker's stand-in: `python -m tests.support.guarded.worker '{"folder": …, …}'`, keys as in `Plan`.

Writes FOLDER/PID.worker (PID.alone where it stands in for an alone runner) once its children are started, FOLDER/PID.renewals
a dot each time; the children write into FOLDER/PID.KIND.NUMBER and carry the mark `…/PID`.
SIGUSR1: start another ticker. SIGUSR2: say that there is no lease any more. SIGHUP: say that no suspects are left.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.guarded.children import start_child
from tests.support.processes import MARK
from workers import guard_link
from workers.guard_link import GuardLink
from workers.process_tree import boottime_s


@dataclass
class Plan:
    """What the stand-in does."""

    folder: str
    kind: str = "worker"
    """What the file is called that says that it is ready: PID.KIND."""
    children: list[str] = field(default_factory=list)
    lease_s: float = 0.6
    renews: bool = True
    ends_at_sigterm: int = 1
    """At the how-manieth; 0: never."""
    exit_code: int | None = None
    """End with it at once."""
    spawns: bool = False
    """Start children without end, from a thread of its own."""
    suspects: int = 0
    """So many it tells the guard of."""
    busy: bool = False
    """Tell the guard that it runs a job, as an alone runner does."""
    ends_after_s: float | None = None
    """End in order then."""
    allocates_bytes: int = 0
    without: list[str] = field(default_factory=list)
    """The guards that are taken out: `wake` (SIGCONT at the supervisor's end), `refusal` (no new children at the end)."""


class StandIn:
    """Starts what the plan says, tells its deadlines, waits for signals."""

    def __init__(self, plan: Plan, link: GuardLink) -> None:
        self._plan = plan
        self._link = link
        self._has_lease = True
        self._started = 0
        self._sigterms = 0
        self._files = Path(plan.folder)

    def run(self) -> None:
        """Live until SIGTERM, or until killed."""
        signal.signal(signal.SIGTERM, lambda *_: self._terminated())
        signal.signal(signal.SIGUSR1, lambda *_: self._start("ticker"))
        signal.signal(signal.SIGUSR2, lambda *_: self._give_up())
        signal.signal(signal.SIGHUP, lambda *_: self._link.suspects(0))
        self._link.deadline(boottime_s() + self._plan.lease_s)
        if self._plan.renews:
            threading.Thread(target=self._renew, daemon=True).start()
        for kind in self._plan.children:
            self._start(kind)
        if self._plan.spawns:
            threading.Thread(target=self._spawn, daemon=True).start()
        if self._plan.suspects:
            self._link.suspects(self._plan.suspects)
        if self._plan.busy:
            self._link.busy(True)
        (self._files / f"{os.getpid()}.{self._plan.kind}").touch()
        self._taken = b"x" * self._plan.allocates_bytes
        if self._plan.ends_after_s is not None:
            time.sleep(self._plan.ends_after_s)
            os._exit(0)
        while True:
            signal.pause()

    def _start(self, kind: str) -> None:
        file = self._files / f"{os.getpid()}.{kind}.{self._started}"
        self._started += 1
        start_child(kind, file, {MARK: f"{os.environ[MARK]}/{os.getpid()}"})

    def _renew(self) -> None:
        while self._has_lease:
            self._link.deadline(boottime_s() + self._plan.lease_s)
            with (self._files / f"{os.getpid()}.renewals").open("a") as file:
                file.write(".")
            time.sleep(self._plan.lease_s / 5)

    def _give_up(self) -> None:
        self._has_lease = False
        self._link.no_lease()

    def _spawn(self) -> None:
        while True:
            self._start("ticker")

    def _terminated(self) -> None:
        self._sigterms += 1
        (self._files / f"{os.getpid()}.sigterm.{self._sigterms}").touch()
        if self._sigterms == self._plan.ends_at_sigterm:
            os._exit(0)


def main() -> None:
    """Take the plan from the command line and follow it."""
    plan = Plan(**json.loads(sys.argv[1]))
    if plan.exit_code is not None:
        sys.exit(plan.exit_code)
    if "wake" in plan.without:
        vars(guard_link)["signal_at_parents_end"] = lambda _: None
    if "refusal" in plan.without:
        vars(guard_link)["_refuse_to_spawn"] = lambda *_: None
    link = GuardLink.from_environment()
    assert link, "the stand-in runs under a supervisor"
    StandIn(plan, link).run()


if __name__ == "__main__":
    main()
