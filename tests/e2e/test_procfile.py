"""The Procfile, run by honcho: each process comes up, they work together, and all end on one signal."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import httpx

from cli.settings import CHECKOUT
from tests.support.database import run_sql
from tests.support.processes import MARK, kill_left, left_running, until
from tests.support.up import Home

TOKEN = "a-token-for-tests-only"
NAMES = ("web", "worker", "agents", "scheduler", "telegram")
DUE = "UPDATE jobs.schedules SET seen_until = now() - interval '61 minutes', next_at = now()"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_honcho_runs_all_processes_and_ends_them(home: Home, database_url: str, tmp_path: Path) -> None:
    mark, port = uuid.uuid4().hex, free_port()
    environment = {
        **{
            name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "ANTHROPIC_", "CLAUDE_"))
        },
        "DATABASE_URL": database_url,
        "JOBS_TOKEN": TOKEN,
        "JOBS_DATA": str(tmp_path / "data"),
        "JOBS_PROCESSES": "1",
        "JOBS_VENV": sys.prefix,
        MARK: mark,
    }
    log = tmp_path / "log"
    with log.open("w") as out:
        honcho = subprocess.Popen(
            [str(Path(sys.executable).parent / "honcho"), "start", "--port", str(port), *NAMES],
            cwd=CHECKOUT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        added = home.run("schedule", "add", "now", "--type", "hello", "--input", '{"name": "a tick"}', "--every", "1h")
        assert added.returncode == 0, added.stderr
        run_sql(database_url, DUE)
        api = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"})

        def workers_and_job() -> bool:
            try:
                health = api.get("/health").json()
                jobs = api.get("/api/jobs", params={"job_type": "hello", "state": "complete"}).json()["jobs"]
            except httpx.TransportError:
                return False
            return health["workers"] == 2 and len(jobs) == 1

        until(workers_and_job, f"two workers, and the tick's job done:\n{log.read_text()}", within_s=60)
        assert honcho.poll() is None
        honcho.send_signal(signal.SIGTERM)
        honcho.wait(60)
        until(lambda: not left_running(mark), "all processes have ended", within_s=30)
    finally:
        honcho.kill()
        kill_left(mark)
    said = log.read_text()
    assert [name for name in NAMES if f"{name}.1" not in said] == []
    assert "Traceback" not in said
