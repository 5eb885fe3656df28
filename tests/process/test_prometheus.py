"""A live Prometheus scrapes a real web door and a real worker: all of docs/metrics.md is there, and the alarms are taken."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.test_metrics_page import documented
from tests.support.database import run_sql
from tests.support.processes import until
from tests.support.up import CHECKOUT, Home, Started

TOKEN = "a-token-for-tests-only"
_WITHIN_S = 60
_STANDS = """
INSERT INTO jobs.jobs (job_type, queue, priority, state, input, ready_seq, limits, limit_group, limited_alone, alone)
VALUES ('hello', 'nobody', 2, 'pending', '{"name": "x"}', nextval('jobs.ready_seq'), '{}', '["k"]', false, NULL);
INSERT INTO jobs.pauses (queue, because, set_by) VALUES ('nowhere', 'operator', 'ada');
INSERT INTO jobs.schedules (name, job_type, input, zone, every_s, anchor, jitter_s, missed, missed_max, overlap, source,
                            seen_until, next_at)
VALUES ('a', 'hello', '{}', 'UTC', 60, now(), 0, 'skip', 1, 'skip', 'api', now(), now() + interval '1 day');
INSERT INTO jobs.telegram_accounts (name, kind, prefix, tg_user_id, api_id, api_hash, dc_id, server_address, port)
VALUES ('bot', 'bot', 'telegram', 1, 1, 'x', 1, '127.0.0.1', 1);
INSERT INTO jobs.deliveries (owed_for, channel, kind, payload, random_id) VALUES ('x', 'telegram', 'answer', '{}', 1);
INSERT INTO jobs.pending_actions (id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments,
                                  digest, asked_by, may_decide, has_read, expires_at)
VALUES (1, 's', gen_random_uuid(), gen_random_uuid(), 1, 'ada', 'a', 'c', 'Bash', '{}', 'd', 'r', '{}', '{}',
        now() + interval '1 day');
INSERT INTO jobs.budget_caps (scope, key, period, cap_usd, by_hand, set_by) VALUES ('day', '*', 'day', 5, true, 'ada');
INSERT INTO jobs.budget_accounts (scope, key, period, starts_on, spent_usd)
VALUES ('day', '*', 'day', jobs.budget_start('day'), 4.5);
INSERT INTO jobs.budget_waits (job_id, account_id, needs_usd, event) SELECT 1, id, 1, 'x' FROM jobs.budget_accounts;
"""
_COUNT_ALL = """
import assistant.metrics, gateways.metrics, gateways.webhooks.metrics, jobs_core.metrics
import schedules.metrics, sessions.metrics, workers.metrics
from prometheus_client import REGISTRY
for one in list(REGISTRY._collector_to_names):
    if getattr(one, "_name", "").startswith("jobs_") and one._labelnames:
        one.labels(*["tests"] * len(one._labelnames))
print("counted", flush=True)
input()
"""


def serving_at(started: Started, says: str) -> str:
    """The address that a command says on stderr it serves at."""
    found = re.compile(rf"{says} (http://[\d.]+:\d+)")
    until(lambda: found.search(started.log.read_text()), f"it says {says!r}", _WITHIN_S)
    match = found.search(started.log.read_text())
    assert match
    return match[1]


@contextmanager
def counting_all(environment: dict[str, str]) -> Iterator[None]:
    """A process that lives, and has counted of everything with labels, as if it had done all that."""
    command = [sys.executable, "-c", _COUNT_ALL]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | environment, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        assert process.stdout.readline() == b"counted\n"
        yield
        process.kill()


@contextmanager
def prometheus(folder: Path, web: str, worker: str) -> Iterator[httpx.Client]:
    """One that scrapes these each second, with our alarms; its API."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{CHECKOUT}/deploy/prometheus/alerts.yml"]
scrape_configs:
  - {{job_name: web, static_configs: [{{targets: ["{web.removeprefix("http://")}"]}}]}}
  - {{job_name: worker, static_configs: [{{targets: ["{worker.removeprefix("http://")}"]}}]}}
""")
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1", timeout=10) as api:
            yield api
    finally:
        running.kill()
        running.wait()


def asked(api: httpx.Client, path: str, **params: str) -> Any:
    """What it answers; None while it does not listen, or is not ready."""
    try:
        response = api.get(path, params=params)
    except httpx.TransportError:
        return None
    return response.json()["data"] if response.status_code == 200 else None


def names(api: httpx.Client) -> set[str]:
    """The metrics of ours that it has."""
    return {name for name in asked(api, "/label/__name__/values") or () if name.startswith("jobs_")}


def first_sample(name: str, kind: str) -> str:
    return f"{name}_count" if kind == "histogram" else name


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is missing: it comes with Debian's package of that name"
)
@pytest.mark.direct("the commands are given the database's own address")
def test_prometheus_has_every_metric_of_a_web_door_and_a_worker_that_worked(tmp_path: Path, direct_url: str) -> None:
    run_sql(direct_url, _STANDS)
    folders = [tmp_path / name for name in ("web", "worker", "prometheus", "counts")]
    for folder in folders:
        folder.mkdir()
    counts = {"PROMETHEUS_MULTIPROC_DIR": str(folders[3])}
    doors, workers = (Home(folder, database_url=direct_url) for folder in folders[:2])
    with (
        counting_all(counts),
        doors.start("web", "--port", "0", JOBS_TOKEN=TOKEN, **counts) as door,
        workers.start("worker", "--processes", "1", JOBS_METRICS_ADDRESS="127.0.0.1:0") as worker,
    ):
        web, workers_page = serving_at(door, "Serving on"), serving_at(worker, "Counters on")
        with httpx.Client(base_url=web, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            until(lambda: _status(client, "/health") == 200, "a worker lives", _WITHIN_S)
            for queue in ("default", "default", "nobody"):
                job = {"job_type": "hello", "input": {"name": "Ada"}, "queue": queue}
                assert client.post("/api/jobs", json=job).status_code == 201
        with prometheus(folders[2], web, workers_page) as api:
            listed = documented()
            samples = {first_sample(name, kind) for name, (kind, _) in listed.items()}
            with suppress(AssertionError):  # the next line says more
                until(lambda: samples <= names(api), "it has all of them", _WITHIN_S)
            assert sorted(samples - names(api)) == []
            for sample in samples:
                assert asked(api, "/query", query=sample)["result"], sample
            known = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in names(api)}
            assert known <= {name.removesuffix("_total") for name in listed} | listed.keys()
            ran = 'sum(jobs_ended_total{job="worker", job_type="hello", state="complete"})'
            until(lambda: _value(api, ran) == 2, "the worker's two jobs", _WITHIN_S)
            assert _value(api, 'sum(jobs_created_total{job="web", job_type="hello"})') == 3
            assert _value(api, 'jobs_living{queue="nobody", job_type="hello", state="ready"}') == 1
            assert _value(api, "jobs_budget_used_ratio") == 0.9
            until(lambda: all(rule["health"] == "ok" for rule in _rules(api)), "all alarms are evaluated", _WITHIN_S)
            firing = 'ALERTS{alertname="JobsBudgetNearCap", alertstate="firing"}'
            until(lambda: _value(api, firing) == 1, "the budget's alarm fires", _WITHIN_S)


def _status(client: httpx.Client, path: str) -> int:
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return 0


def _value(api: httpx.Client, query: str) -> float | None:
    result = (asked(api, "/query", query=query) or {}).get("result")
    return float(result[0]["value"][1]) if result else None


def _rules(api: httpx.Client) -> list[dict[str, Any]]:
    groups = asked(api, "/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    return rules
