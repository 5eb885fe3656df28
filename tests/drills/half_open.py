"""R9: connections go half-open under load: both ends think that they stand, and nothing arrives any more at either.

    worker ══╳══ backend       noticed by the client, and by the server, which frees what the backend had locked,
    idle, asking, waiting for an answer, in a transaction with a row locked       within tcp_user_timeout + 1 s

New connections go through, as behind a firewall that forgot the old ones. A connection without the bounds that `connect` sets
is cut with the others and must still seem to stand at the end: else the drill would not have cut at all.
"""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cli.embedded_postgres import EmbeddedPostgres
from jobs_core import Connection, ConnectionFailed, Database, Jobs, db, execute, fetch
from jobs_core.leases import live_workers
from tests.drills import load
from tests.drills.fleet import Fleet
from tests.drills.load_worker import Options
from tests.drills.main import parse
from tests.drills.report import CannotRun, quantile, show, show_skipped
from tests.drills.servers import make_ready
from tests.support.packets import drop_arriving, from_port, standing, to_port

NOTICED_S = 5.0 + 1.0
"""tcp_user_timeout of every connection (jobs_core.db), and one second."""
SETTINGS = {"slots": 5, "lease_s": 15.0, "renew_s": 3.0, "upkeep_s": 1.0, "poll_s": 5.0, "drain_s": 5.0}
"""As in life: with a short lease, the bound on idle transactions would free the locks instead."""
_UNBOUNDED = "?tcp_user_timeout=0&keepalives=0"
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """`rounds` of losing all connections of `workers` workers; `slack` is a factor on the promised time."""

    workers: int
    rounds: int
    seed: int
    per_s: float = 50.0
    slack: float = 1.0


@dataclass(slots=True)
class Report:
    """Seconds until a connection was noticed to be dead, by its client (counted from when it sent something, if it did
    meanwhile) and by the server; until the answer waited for failed, and the row that was locked was free. control_stood:
    connections without bounds that still seemed to stand, one a round."""

    findings: load.Findings | None = None
    cut: int = 0
    client_s: list[float] = field(default_factory=list)
    server_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    lock_s: list[float] = field(default_factory=list)
    control_stood: int = 0

    def broken(self, plan: Plan) -> list[str]:
        """What did not hold."""
        assert self.findings
        times = {"client": self.client_s, "server": self.server_s, "answer": self.answer_s, "lock": self.lock_s}
        slowest = {name: quantile(seconds, 1.0) for name, seconds in times.items()}
        late = [f"{name}: {s:.1f} s" for name, s in slowest.items() if s > NOTICED_S * plan.slack]
        missed = [f"control_stood: {self.control_stood}"] if self.control_stood != plan.rounds else []
        return [*self.findings.broken, *late, *missed]


@dataclass(slots=True)
class Clients:
    """Three of our own: one that waits for an answer, one frozen in a transaction with a row locked, one without bounds."""

    asks: Connection
    locks: Connection
    control: Connection

    @classmethod
    async def connected(cls, dsn: str, stack: AsyncExitStack) -> "Clients":
        """Connect them; they are closed with the stack."""
        asks, locks = [await db.connect(dsn, name=f"drill {name}") for name in ("asks", "locks")]
        control = await db.connect(dsn + _UNBOUNDED, name="drill control")
        for conn in (asks, locks, control):
            stack.push_async_callback(conn.close)
        await execute(locks, "BEGIN")
        await execute(locks, "UPDATE drill_ledger SET job_id = 1 WHERE key = 'locked'")
        return cls(asks, locks, control)


@dataclass(slots=True)
class Lost:
    """Connections to which nothing gets any more: the clients' ports, and the backends at the other end."""

    ports: set[int] = field(default_factory=set)
    backends: set[int] = field(default_factory=set)


async def run(folder: Path, plan: Plan) -> Report:
    """Carry out the plan on a server of its own in this folder. Raises CannotRun where sockets may not be touched."""
    report = Report()
    with EmbeddedPostgres(folder / "postgres") as server:
        await make_ready(server.dsn)
        async with (
            Database(server.dsn, name="drill") as database,
            Jobs(database, load.table()) as jobs,
            await db.connect(server.dsn, name="drill looks") as looks,
        ):
            await execute(looks, "INSERT INTO drill_ledger (key) VALUES ('locked')")
            supervisor = Options(server.dsn, SETTINGS, processes=plan.workers)
            with Fleet(supervisor.command(), 1, folder / "log") as fleet:
                producers = load.Producers(load.keyed(jobs), per_s=plan.per_s)
                producing = asyncio.create_task(producers.run())
                for number in range(plan.rounds):
                    await _until_all_live(looks, plan.workers)
                    await asyncio.sleep(random.Random(plan.seed + number).uniform(0.0, 0.5))
                    await _lose_all(server.dsn, looks, fleet.below(), plan, report)
                producers.stop()
                await producing
                await load.drained(looks, 60.0)
                report.findings = await load.findings(looks, producers.acknowledged)
    return report


async def _until_all_live(looks: Connection, workers: int) -> None:
    async with asyncio.timeout(60):
        while len(await live_workers(looks)) < workers:
            await asyncio.sleep(0.1)


async def _lose_all(dsn: str, looks: Connection, pids: list[int], plan: Plan, report: Report) -> None:
    """One round: lose what the workers and we have, and watch until both ends have noticed."""
    port = urlsplit(dsn).port
    assert port
    async with AsyncExitStack() as stack:
        own = await Clients.connected(dsn, stack)
        asking = asyncio.create_task(_until_it_fails(own.asks))
        await _until_active(looks, own.asks.info.backend_pid)
        lost, control_port = await _lose(looks, [*pids, os.getpid()], port, own)
        report.cut += len(lost.ports)
        began = time.monotonic()
        unlocking = asyncio.create_task(_until_unlocked(dsn))
        within_s = NOTICED_S * plan.slack + 1.0
        await _watch(looks, lost, within_s, report)
        for task, seconds in ((asking, report.answer_s), (unlocking, report.lock_s)):
            await asyncio.wait({task}, timeout=began + within_s - time.monotonic())
            seconds.append(task.result() - began if task.done() else within_s)
            task.cancel()
        report.control_stood += len(standing({control_port}))
        await execute(
            looks,
            "SELECT pg_terminate_backend(pid) FROM unnest(%(pids)s::int[]) AS pid",
            {"pids": [own.asks.info.backend_pid, own.control.info.backend_pid]},
        )


async def _lose(looks: Connection, pids: list[int], port: int, own: Clients) -> tuple[Lost, int]:
    """Lose the connections of these processes to the server's port, but not `looks`; those to watch, and the control's port."""
    lost, control_port = Lost(), 0
    clients = {mine: (pid, fd) for pid in pids for mine, fd in to_port(pid, port).items()}
    sql = """
    SELECT pid, client_port FROM pg_stat_activity
    WHERE client_port = ANY(%(ports)s::int[]) AND pid <> pg_backend_pid()
    """
    for row in await fetch(looks, sql, {"ports": list(clients)}):
        backend, mine = row["pid"], row["client_port"]
        try:
            fd = from_port(backend, mine)
            if fd is None:
                continue
            drop_arriving(backend, fd)
            drop_arriving(*clients[mine])
        except PermissionError as error:
            raise CannotRun(f"may not touch the sockets of other processes ({error}): run it as root") from error
        except OSError:
            continue  # it was closed meanwhile
        if backend == own.control.info.backend_pid:
            control_port = mine
            continue
        lost.ports.add(mine)
        if backend != own.asks.info.backend_pid:  # which hears of nothing before it has its answer
            lost.backends.add(backend)
    return lost, control_port


async def _watch(looks: Connection, lost: Lost, within_s: float, report: Report) -> None:
    """Note when each connection is gone for its client, counted from when it began to wait, and when its backend is."""
    began = time.monotonic()
    since = dict.fromkeys(lost.ports, began)
    idle, backends = set(lost.ports), set(lost.backends)
    while since or backends:
        await asyncio.sleep(_LOOK_S)
        alive = standing(set(since))
        left = await _alive(looks, backends)
        now = time.monotonic()
        gone = [port for port in since if port not in alive or now - since[port] > within_s]
        report.client_s += [now - since.pop(port) for port in gone]
        for port in [port for port in since if alive[port] and port in idle]:
            idle.remove(port)
            since[port] = now
        freed = backends if now - began > within_s else backends - left
        report.server_s += [now - began] * len(freed)
        backends -= freed


async def _alive(looks: Connection, backends: set[int]) -> set[int]:
    sql = "SELECT pid FROM pg_stat_activity WHERE pid = ANY(%(pids)s::int[])"
    return {row["pid"] for row in await fetch(looks, sql, {"pids": list(backends)})}


async def _until_active(looks: Connection, backend: int) -> None:
    sql = "SELECT pid FROM pg_stat_activity WHERE pid = %(pid)s AND state = 'active'"
    async with asyncio.timeout(10):
        while not await fetch(looks, sql, {"pid": backend}):
            await asyncio.sleep(0.01)


async def _until_it_fails(conn: Connection) -> float:
    """When a statement whose answer never comes failed (monotonic)."""
    try:
        await execute(conn, "SELECT pg_sleep(600)")
    except ConnectionFailed:
        return time.monotonic()
    raise AssertionError("a statement was answered over a connection that nothing passes")


async def _until_unlocked(dsn: str) -> float:
    """When the row that the frozen client had locked could be changed (monotonic)."""
    async with await db.connect(dsn, name="drill unlocks") as conn:
        await execute(conn, "UPDATE drill_ledger SET job_id = 2 WHERE key = 'locked'")
    return time.monotonic()


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill half-open [--short]`."""
    options = parse("half-open", arguments, seed=random.randrange(10_000))
    plan = Plan(4, 1, options.seed) if options.short else Plan(20, 5, options.seed)
    with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder:
        try:
            report = asyncio.run(run(Path(folder), plan))
        except CannotRun as why:
            return show_skipped(why)
    return show(plan, report, report.broken(plan))
