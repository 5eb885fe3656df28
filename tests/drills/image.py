"""The images of the Dockerfile: built on a bare Debian and run as docker-compose.yml runs them, by runc, without a registry.

    debootstrap ─▶ base ─▶ core ─▶ migrate, web, worker ─▶ a job through the API, health, a drain
                              └─▶ worker (with the CLI) ─▶ a chat, answered by the simulator behind the real CLI

Needs root, some minutes, 3 GB, and the package registries.
"""

import argparse
import asyncio
import secrets
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cli.model import Simulator
from cli.settings import CHECKOUT
from jobs_core.testing import new_database
from tests.drills.report import CannotRun, show, show_skipped
from tests.support.database import server
from tests.support.images import Container, Images

_SECRETS = ("TOKEN", "KEY", "PASSWORD", "SECRET", "DATABASE_URL")
_WITHIN_S, _DRAIN_S = 60.0, 30


@dataclass(frozen=True, slots=True)
class Plan:
    """The images by name, on this base."""

    base: str
    images: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What was built and what it did."""

    size_mb: dict[str, int] = field(default_factory=dict)
    user: str = ""
    job: str = ""
    answer: str = ""
    drained: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def expect(self, holds: object, what: str) -> None:
        """Write down what does not hold."""
        if not holds:
            self.broken.append(what)


def look_inside(images: Images, image: str, report: Report) -> None:
    """Whoever runs it is nobody special, can change nothing of the program, and is given no secret."""
    shown = images.inside(image, "id -u; touch /opt/jobs/x /opt/venv/x 2>&1; env")
    report.user, *rest = shown.splitlines()
    report.expect(report.user not in {"", "0"}, f"{image} runs as user {report.user or 'unknown'}")
    report.expect(sum("cannot touch" in line for line in rest) == 2, f"{image}: the program can be written to")
    named = [line for line in rest if any(word in line.partition("=")[0] for word in _SECRETS)]
    report.expect(not named, f"{image} holds {named}")


async def run(images: Images, plan: Plan, dsn: str, report: Report) -> None:
    """Run each, and use it as a user does."""
    port, token = _free_port(), secrets.token_urlsafe(16)
    simulator = Simulator(asyncio.Event())
    async with simulator.process:
        await simulator.process.start()
        model = await simulator.ready()
        joins = {"DATABASE_URL": dsn}
        core = plan.images[0]
        images.once(core, ["migrate"], joins)
        with ExitStack() as stack:

            def start(name: str, image: str, command: Sequence[str], **more: str) -> Container:
                return stack.enter_context(images.running(f"{name}-{port}", image, command, joins | more))

            web = start("web", core, ["web", "--port", str(port)], JOBS_TOKEN=token, JOBS_PORT=str(port))
            workers = {core: start("worker", core, ["worker"])}
            caller = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}, trust_env=False
            )
            async with caller:
                await _ready(caller, web)
                report.job = await _a_job(caller)
                report.expect(report.job == "complete", f"the job is {report.job}: {workers[core].log()[-500:]}")
                for agents in plan.images[1:2]:
                    workers[agents] = start("agents", agents, ["worker"], **model)
                    report.answer = await _a_chat(caller)
                    why = "" if report.answer else (await caller.get("/api/jobs?job_type=chat_turn")).text
                    report.expect(report.answer, f"the chat had no answer: {why}")
            _health(report, web, workers)
            for image, container in workers.items():
                report.drained[image] = container.stopped(_DRAIN_S)
                report.expect(report.drained[image] == 0, f"{image}'s worker ended with {report.drained[image]}")


def _health(report: Report, web: Container, workers: dict[str, Container]) -> None:
    ask = ("python", "-m", "cli", "health")
    asked = {"web": web.tried(*ask, "web"), "database": web.tried(*ask)}
    asked |= {image: container.tried(*ask, "worker") for image, container in workers.items()}
    for name, (status, words) in asked.items():
        report.expect(status == 0, f"{name} is not well: {words}")
    report.expect(web.tried(*ask, "web", "--port", "1")[0] == 1, "a web API that does not answer is well")


async def _ready(caller: httpx.AsyncClient, web: Container) -> None:
    until = time.monotonic() + _WITHIN_S
    while time.monotonic() < until:
        try:
            if (await caller.get("/health")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.2)
    raise TimeoutError(f"web and worker were not ready: {web.log()[-1000:]}")


async def _a_job(caller: httpx.AsyncClient) -> str:
    made = await caller.post("/api/jobs", json={"job_type": "hello", "input": {"name": "Ada"}})
    made.raise_for_status()
    until = time.monotonic() + _WITHIN_S
    while time.monotonic() < until:
        job: dict[str, Any] = (await caller.get(f"/api/jobs/{made.json()['job_id']}")).json()
        if job["state"] in {"complete", "failed", "cancelled"}:
            break
        await asyncio.sleep(0.1)
    return str(job["state"])


async def _a_chat(caller: httpx.AsyncClient) -> str:
    said = await caller.post("/api/chat", json={"message": "hello"}, timeout=_WITHIN_S)
    return str(said.json().get("response") or "")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill image`: build core and worker, and run them."""
    parser = argparse.ArgumentParser(prog="./jobs drill image", description=__doc__)
    parser.add_argument("--core-only", action="store_true", help="not the image with the Claude CLI")
    parser.add_argument("--mirror", default="", help="where debootstrap finds Debian [default: its own]")
    parser.add_argument(
        "--build-option", action="append", default=[], help="for buildah, as -v=/etc/pip.conf:/etc/pip.conf; repeatable"
    )
    options = parser.parse_args(arguments)
    targets = ("core",) if options.core_only else ("core", "worker")
    report = Report()
    try:
        with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder:
            images = Images(Path(folder))
            images.debian("jobs-base", options.mirror)
            built = tuple(images.build(CHECKOUT, one, "localhost/jobs-base", options.build_option) for one in targets)
            plan = Plan("debian bookworm", built)
            for image in built:
                report.size_mb[image] = images.size_mb(image)
                look_inside(images, image, report)
            with server(Path(folder) / "postgres") as server_dsn, new_database(server_dsn) as dsn:
                asyncio.run(run(images, plan, dsn, report))
    except CannotRun as why:
        return show_skipped(why)
    return show(plan, report, report.broken)
