"""The peers: which versions, how each is installed into a folder of its own, and what Postgres says of their queues.

Versions are pinned, so that a figure means something later; `docs/benchmarks.md` says how each is tuned and why.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contender import Contender
from benchmarks.errors import BenchFailed
from cli.settings import CHECKOUT

_SCRIPTS = Path(__file__).parent / "contenders"
_INSTALL_S = 600.0


@dataclass(frozen=True, slots=True)
class Peer:
    """key: what `--only` takes; script: its file in contenders/; requirements: exact, for pip or npm as its suffix says."""

    key: str
    name: str
    script: str
    requirements: tuple[str, ...]
    mark: str
    unfinished: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def ready(self, folder: Path, logs: Path) -> Contender:
        """The contender, installed below `folder` where it was not before. Raises BenchFailed saying what is missing."""
        home = (folder / Path(self.script).stem).absolute()
        for part in (
            home.parents[1],
            home.parent,
            home,
        ):  # the first may become the folder of `./jobs up`, which is private
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = self._in_node(home) if self.script.endswith(".mjs") else self._in_venv(home)
        return Contender(
            self.name, command, self.mark, self.unfinished, logs / f"{self.key}.log", environment=self.environment
        )

    def _in_venv(self, home: Path) -> tuple[str, ...]:
        python = home / "venv" / "bin" / "python"
        if not _is_installed(home, self.requirements):
            _call([sys.executable, "-m", "venv", str(home / "venv")], self.name)
            _call([str(python), "-m", "pip", "install", "--no-input", *self.requirements], self.name)
            _remember(home, self.requirements)
        return (str(python), "-P", "-m", f"benchmarks.contenders.{Path(self.script).stem}")

    def _in_node(self, home: Path) -> tuple[str, ...]:
        node, npm = shutil.which("node"), shutil.which("npm")
        if not node or not npm:
            raise BenchFailed(f"{self.name}: node or npm is not on PATH; install node 20 or newer to measure it")
        if not _is_installed(home, self.requirements):
            wanted = dict(requirement.split("@") for requirement in self.requirements)
            package = {"private": True, "dependencies": wanted, "overrides": dict(self.overrides)}
            (home / "package.json").write_text(json.dumps(package))
            _call([npm, "install", "--no-audit", "--no-fund"], self.name, folder=home)
            _remember(home, self.requirements)
        for script in ("script.mjs", self.script):  # a module finds its libraries beside itself
            shutil.copy(_SCRIPTS / script, home)
        return (node, str(home / self.script))


def node_version() -> str:
    """What node the peers written for it run on."""
    node = shutil.which("node")
    if node is None:
        return "no node"
    return "node " + subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def _is_installed(home: Path, requirements: tuple[str, ...]) -> bool:
    stamp = home / ".installed"
    return stamp.exists() and stamp.read_text() == "\n".join(requirements)


def _remember(home: Path, requirements: tuple[str, ...]) -> None:
    (home / ".installed").write_text("\n".join(requirements))


def _call(command: list[str], name: str, folder: Path = CHECKOUT) -> None:
    """Run an installer. Raises BenchFailed with its last words."""
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or ["it said nothing"]
        raise BenchFailed(f"{name} could not be installed: {said[-1][:300]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchFailed(f"{name} could not be installed: {error}") from error


_GRAPHILE = ("graphile-worker@0.18.0",)
_GRAPHILE_MARK = "SELECT coalesce(max(id), 0) FROM graphile_worker._private_jobs"
_GRAPHILE_LEFT = "SELECT count(*) FROM graphile_worker._private_jobs WHERE id > %s"

PEERS = (
    Peer(
        "procrastinate",
        "procrastinate 3.10",
        "procrastinate.py",
        ("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
        mark="SELECT coalesce(max(id), 0) FROM procrastinate_jobs",
        unfinished="SELECT count(*) FROM procrastinate_jobs WHERE id > %s AND status IN ('todo', 'doing')",
    ),
    Peer(
        "pgqueuer",
        "pgqueuer 1.6",
        "pgqueuer.py",
        ("pgqueuer==1.6.0", "asyncpg==0.32.0", "uvloop==0.23.0"),
        mark="SELECT coalesce(max(id), 0) FROM pgqueuer",
        unfinished="SELECT count(*) FROM pgqueuer WHERE id > %s",
    ),
    Peer(
        "graphile-worker",
        "graphile-worker 0.18, default",
        "graphile_worker.mjs",
        _GRAPHILE,
        _GRAPHILE_MARK,
        _GRAPHILE_LEFT,
    ),
    Peer(
        "graphile-worker-tuned",
        "graphile-worker 0.18, tuned",
        "graphile_worker.mjs",
        _GRAPHILE,
        _GRAPHILE_MARK,
        _GRAPHILE_LEFT,
        environment={"BENCH_TUNED": "1", "NO_LOG_SUCCESS": "1"},
    ),
    Peer(
        "pg-boss",
        "pg-boss 12.38",
        "pg_boss.mjs",
        ("pg-boss@12.38.0",),
        mark="SELECT extract(epoch FROM clock_timestamp())::float8",
        unfinished="SELECT count(*) FROM pgboss.job WHERE created_on > to_timestamp(%s) AND state < 'completed'",
        overrides={"rrule-temporal": "2.2.7"},
    ),
)
