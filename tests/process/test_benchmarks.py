"""The benchmarks measure what they say: small runs end to end, with the real command and real processes."""

import asyncio
import json
import re
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.against_peers import Line, table
from benchmarks.contender import Contender
from benchmarks.contenders.script import TEXT
from benchmarks.contenders.us import KINDS, Us
from benchmarks.errors import BenchFailed
from benchmarks.lineup import raw, us
from benchmarks.measures import before, drain, history, live
from benchmarks.measures.year import make_history
from benchmarks.peers import PEERS
from benchmarks.plan import Plan
from benchmarks.server import plain, running, value
from cli.settings import CHECKOUT
from jobs_core import Database
from jobs_core.history import keep_house
from jobs_core.settings import HistorySettings
from tests.support.processes import until

SETTLES_NOTHING = """
from benchmarks.contenders import raw
from benchmarks.contenders.script import run
raw.SETTLE = "SELECT %s::bigint[]"
run(raw.Raw())
"""


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "cli", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=120)


def test_a_small_run_prints_each_measure_beside_its_reference() -> None:
    ran = bench("--jobs", "200", "--rounds", "1", "--only", "drain-1", "--only", "create")
    assert ran.returncode == 0, ran.stderr
    head, _, drained, created, _, machine = ran.stdout.splitlines()
    assert head == "| measure | us | reference | ratio | goal |"
    for line, measure in ((drained, "drain 200, brief"), (created, "create one by one")):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        us, reference = (float(re.sub(r"[^\d.]", "", cell)) for cell in cells[1:3])
        assert cells[0].startswith(measure)
        assert us > 0
        assert float(cells[3]) == pytest.approx(us / reference, abs=0.02)
    assert "fsync on, synchronous_commit on" in machine
    assert "bench: drain-1 …" in ran.stderr


def rows_of(ran: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert ran.returncode == 0, ran.stderr
    rows: list[dict[str, Any]] = json.loads(ran.stdout)["rows"]
    return rows


def test_claims_are_timed_behind_others_beside_the_empty_queue() -> None:
    small = ("claims", "--only", "full-limit-limited", "--beside", "2000", "--jobs", "100", "--rounds", "1", "--json")
    rows = rows_of(bench(*small))
    claims = [
        f"claim of {n} with a limit, 200 behind a full limit, {which}" for n in (1, 10) for which in ("p50", "p99")
    ]
    assert [row["measure"] for row in rows] == claims
    assert all(row["us"] > 0 and row["reference"] > 0 for row in rows)


def test_what_the_model_proxy_adds_is_measured_beside_the_direct_way() -> None:
    rows = rows_of(bench("proxy", "--jobs", "100", "--rounds", "1", "--json"))
    assert [row["measure"][-3:] for row in rows] == ["p50", "p95", "p95"]
    assert all(row["us"] > 0 and row["reference"] > 0 for row in rows[:2])
    assert rows[2]["us"] == pytest.approx(rows[1]["us"] - rows[1]["reference"])


async def test_each_piece_of_a_stream_is_timed_to_its_watcher(server_dsn: str) -> None:
    async with running(server_dsn) as server:
        seen = await live.streamed(server, 1.0)
        looks = await live.looked(server, 3)
    assert 0.5 * live.STREAMS * live.DELTAS_PER_S < len(seen.lags_ms) <= live.STREAMS * live.DELTAS_PER_S
    assert seen.lags_ms[0] > 0
    assert 0 < seen.transactions_per_s < seen.rows_per_s
    assert len(looks) == 3


def commit_all(folder: Path) -> None:
    git = ("git", "-C", str(folder), "-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "--no-gpg-sign", "-m", "Before"]):
        subprocess.run([*git, *command], check=True)


async def test_before_is_the_code_of_that_commit_and_not_ours(
    server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "benchmarks" / "contenders" / "us.py"
    script.parent.mkdir(parents=True)
    script.write_text("raise SystemExit('this is the code of the commit')")
    await asyncio.to_thread(commit_all, tmp_path)
    script.write_text("raise SystemExit('this is not')")
    monkeypatch.setattr(before, "CHECKOUT", tmp_path)
    async with running(server_dsn) as server:
        with pytest.raises(BenchFailed, match="could not make its tables: this is the code of the commit"):
            await before.drained_before(server, Plan(jobs=100, rounds=1, base="HEAD"), "ready")
    async with running(server_dsn) as server:
        with pytest.raises(BenchFailed, match=r"git .* nothing: fatal: "):
            await before.drained_before(server, Plan(jobs=100, rounds=1, base="nothing"), "ready")


async def test_a_year_stands_beside_one_of_two_drains(
    server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three days here: a year's take half a minute to make."""
    monkeypatch.setattr(history, "DAYS", 3)
    seen = dict[str, int]()

    async def drained(_: Contender, dsn: str, *__: Any, **___: Any) -> float:
        async with plain(dsn) as conn:
            seen[dsn] = await value(conn, "SELECT count(*) FROM jobs.history")
        return float(seen[dsn] + 1)

    monkeypatch.setattr(history, "drained", drained)
    async with running(server_dsn) as server:
        rounds = await history.drained_beside_a_year(server, us(tmp_path), Plan(rounds=2, ended=300))
    assert (rounds, len(seen)) == ([(301.0, 1.0), (301.0, 1.0)], 2)


async def test_history_is_made_of_days_as_the_queue_makes_them(database: Database) -> None:
    await make_history(database.dsn, 300, days=3)
    async with database.connection() as conn:
        await keep_house(conn, HistorySettings())
    async with plain(database.dsn) as conn:
        today = "date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
        ended = f"SELECT count(*) FROM jobs.history WHERE job_type = 'bench_brief' AND ended_at < {today}"
        assert await value(conn, ended) == 300
        assert await value(conn, f"{ended} AND ended_at >= {today} - interval '1 day'") == 100
        assert await value(conn, "SELECT nextval('jobs.job_id_seq')") == 301
        indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'history_standard_' || to_char({}, 'YYYYMMDD')"
        ours, made = [await value(conn, indexes.format(f"now() - {n} * interval '1 day'")) for n in (0, 1)]
        assert made == ours == 4


def test_a_measure_that_there_is_not_is_told_in_one_line() -> None:
    ran = bench("--only", "speed")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("jobs: --only: there is no speed; there are: drain-1, ")
    assert ran.stderr.count("\n") == 1


def test_killed_in_the_middle_it_leaves_nothing_running(tmp_path: Path) -> None:
    """Its Postgres, and workers that would wait for that to come back."""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "cli", "bench", "--jobs", "20000", "--only", "drain-2"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env) as ran:
        below = psutil.Process(ran.pid).children
        logs = partial(tmp_path.glob, "jobs-bench-*/jobs.log")
        try:
            until(
                lambda: any(log.read_text().count("worker.registered") > 1 for log in logs()), "two workers drain", 60
            )
            everybody = below(recursive=True)
            names = {part.name() for part in everybody} | {part.cmdline()[-1] for part in everybody}
        finally:
            ran.kill()
    assert {"postgres", "worker"} <= names
    try:
        until(lambda: not any(part.is_running() for part in everybody), "nothing is left", 30)
    finally:
        for part in everybody:
            with suppress(psutil.Error):
                part.kill()


async def test_a_contender_that_handles_without_settling_gets_no_figure(
    server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the measure itself: counting handled jobs alone would praise it."""
    script = tmp_path / "mutant.py"
    script.write_text(SETTLES_NOTHING)
    monkeypatch.setattr(drain, "_SETTLED_WITHIN_S", 5.0)
    whole = raw(tmp_path)
    mutant = Contender("mutant", (sys.executable, str(script)), whole.mark, whole.unfinished, tmp_path / "log")
    async with running(server_dsn) as server:
        assert await drain.drained_alone(server, whole, Plan(jobs=500), processes=1) > 0
        with pytest.raises(TimeoutError):
            await drain.drained_alone(server, mutant, Plan(jobs=500), processes=1)


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("ready", "ready_seq IS NOT NULL AND priority = 2 AND job_type = 'bench_no_history'"),
        ("kept", "ready_seq IS NOT NULL AND priority = 2 AND job_type = 'bench_brief'"),
        ("marked", "ready_seq IS NOT NULL AND priority = 2 AND job_type = 'bench_marked'"),
        ("deferred", "ready_seq IS NULL AND scheduled_for > now() + interval '23 hours'"),
        ("lower_priority", "ready_seq IS NOT NULL AND priority = 4 AND job_type = 'bench_brief'"),
        ("blocked", "ready_seq IS NULL AND (state = 'blocked' OR (state = 'claimed' AND lane_pos = 1))"),
        ("unknown", "ready_seq IS NOT NULL AND job_type = 'bench_unknown'"),
        ("limited", "ready_seq IS NOT NULL AND limit_group IS NOT NULL"),
    ],
)
async def test_what_stands_in_the_way_is_what_the_table_says(
    database: Database, database_url: str, kind: str, where: str
) -> None:
    async with Us().producer(database_url) as producer:
        for _ in range(2):
            await producer.create_bulk([{"text": TEXT, "sent": 0.0}] * 5, kind)
    async with plain(database.dsn) as conn:
        assert await value(conn, f"SELECT count(*) FROM jobs.jobs WHERE {where}") == 10


def test_every_kind_of_job_is_checked_above() -> None:
    marks = test_what_stands_in_the_way_is_what_the_table_says.pytestmark  # type: ignore[attr-defined]  # pytest's own
    assert {kind for kind, _ in marks[0].args[1]} == set(KINDS)


def test_a_peer_that_cannot_be_installed_is_a_line_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    peer = next(peer for peer in PEERS if peer.script.endswith(".mjs"))
    with pytest.raises(BenchFailed, match="node or npm is not on PATH") as failed:
        peer.ready(tmp_path, tmp_path)
    assert f"- {peer.name}: {failed.value} (install)" in table([Line(peer.name, failed={"install": str(failed.value)})])
