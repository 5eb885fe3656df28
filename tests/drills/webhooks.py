"""R27: webhooks sent again and again while their door and Postgres are killed: 2xx only for what is committed, each event once.

    senders ─▶ socket ─▶ door (a process) ─▶ Postgres
                           ▲ SIGKILL, again     ▲ SIGKILL, again; both come back on the same port

With the answer before the commit, with no memory of events, and with job and event committed apart, it must break.
"""

import asyncio
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cli.embedded_postgres import EmbeddedPostgres
from gateways.webhooks import signing
from gateways.webhooks.sources import add_source, define
from jobs_core import Connection, db, fetch
from tests.drills.main import parse
from tests.drills.postgres import kill_server, until_port_opens
from tests.drills.report import show
from tests.drills.servers import make_ready
from tests.drills.webhooks_door import EVENT, MUTANTS
from tests.drills.webhooks_senders import SOURCE, Heard, Senders

_EVENTS = "SELECT id, key, job_id, conflicts FROM jobs.webhook_events"
_JOBS = "SELECT id, (input ->> 'n')::integer AS n, (input ->> 'forged')::boolean AS forged FROM jobs.jobs"


@dataclass(frozen=True, slots=True)
class Plan:
    """`events`, during which the door and Postgres are killed so many times."""

    events: int
    door_kills: int
    outages: int
    seed: int
    mutant: str | None = None


@dataclass(slots=True)
class Report:
    """What was sent and answered, and what must be 0.

    lost: acknowledged, and no job is there, or never acknowledged. mistold: acknowledged with the ids of another event or job.
    twins: events with several jobs. apart: jobs without an event, or events without a job. forged: of another body under a
    known id, taken. odd: answers that none should get.
    """

    statuses: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    conflicts_told: int = 0
    lost: int = 0
    mistold: int = 0
    twins: int = 0
    apart: int = 0
    forged: int = 0
    odd: int = 0

    @property
    def broken(self) -> list[str]:
        """What did not hold."""
        promised = ("lost", "mistold", "twins", "apart", "forged", "odd")
        return [f"{name}: {value}" for name in promised if (value := getattr(self, name))]


class Door:
    """The process at the socket; killed, it comes back."""

    def __init__(self, dsn: str, listener: socket.socket, mutant: str | None) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tests.drills.webhooks_door",
            "--dsn",
            dsn,
            "--fd",
            str(listener.fileno()),
        ]
        self._command += ["--mutant", mutant] if mutant else []
        self._fd = listener.fileno()
        self._process = self._start()

    def kill(self) -> None:
        """Kill it, and start it again."""
        self.close()
        self._process = self._start()

    def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, pass_fds=[self._fd])


async def run(dsn: str, plan: Plan, server: EmbeddedPostgres | None = None) -> Report:
    """Carry out the plan on a migrated database; `server`: the one to be killed, where the plan has outages."""
    secret = signing.new_secret()
    mapping = {"input": {"n": "body.n", "forged": "body.forged || `false`"}}
    async with await db.connect(dsn, name="drill") as conn:
        definition = define({"job_type": EVENT.name, "mapping": mapping, "cap_per_minute": None})
        await add_source(conn, SOURCE, definition, secret)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        door = Door(dsn, listener, plan.mutant)
        stack.callback(door.close)
        senders = Senders(f"http://127.0.0.1:{listener.getsockname()[1]}", secret, plan.events, plan.seed)
        sending = senders.run()
        strike = partial(_strike, door, server)
        await asyncio.gather(sending, _hurt(senders, plan, strike))
    async with await db.connect(dsn, name="drill looks") as conn:
        return await _judged(conn, senders.heard, plan)


async def _hurt(senders: Senders, plan: Plan, strike: Callable[[str], Awaitable[None]]) -> None:
    """The kills, spread over the events that are acknowledged meanwhile."""
    rng = random.Random(plan.seed)
    faults = ["door"] * plan.door_kills + ["postgres"] * plan.outages
    rng.shuffle(faults)
    for number, fault in enumerate(faults):
        after = (number + rng.uniform(0.2, 0.8)) / len(faults) * plan.events
        while len(senders.heard.acknowledged) < after:
            await asyncio.sleep(0.002)
        await strike(fault)


async def _strike(door: Door, server: EmbeddedPostgres | None, fault: str) -> None:
    if fault == "door":
        door.kill()
        return
    assert server, "a plan with outages needs a server of its own"
    kill_server(server)
    await until_port_opens(server.dsn)


async def _judged(conn: Connection, heard: Heard, plan: Plan) -> Report:
    events = {row["id"]: row for row in await fetch(conn, _EVENTS)}
    jobs = {row["id"]: row["n"] for row in await fetch(conn, _JOBS)}
    told = [one for ids in heard.acknowledged.values() for one in ids]
    right = {(row["id"], row["job_id"]) for row in events.values() if row["job_id"] in jobs}
    owned = {row["job_id"] for row in events.values()}
    return Report(
        statuses=dict(heard.statuses),
        acknowledged=len(heard.acknowledged),
        conflicts_told=sum(row["conflicts"] for row in events.values()),
        lost=plan.events - len(heard.acknowledged.keys() & jobs.values()),
        mistold=sum(one not in right for one in told),
        twins=len(jobs) - len(set(jobs.values())),
        apart=len(jobs.keys() ^ owned),
        forged=heard.forged,
        odd=sum(n for status, n in heard.statuses.items() if status not in ("none", "200", "202", "409", "503")),
    )


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill webhooks [--short]`: as it is, then with each guard left out; 0 when only those broke."""
    options = parse("webhooks", arguments, seed=random.randrange(10_000))
    events, kills = (600, 3) if options.short else (10_000, 20)
    plans = [
        Plan(events, kills, kills, options.seed),
        *(Plan(400, 3, 0, options.seed, mutant) for mutant in MUTANTS),
    ]
    failures = 0
    for plan in plans:
        with (
            tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder,
            EmbeddedPostgres(Path(folder) / "pg") as server,
        ):
            asyncio.run(make_ready(server.dsn))
            report = asyncio.run(run(server.dsn, plan, server))
        failures += show(plan, report, missed(plan, report) if plan.mutant else report.broken)
    return 1 if failures else 0


def missed(plan: Plan, report: Report) -> list[str]:
    """What the demonstration did not show."""
    assert plan.mutant
    what = MUTANTS[plan.mutant][1]
    return [] if getattr(report, what) else [f"its guard was left out, and nothing was {what}"]
