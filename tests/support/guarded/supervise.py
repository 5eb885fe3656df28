"""A supervisor of stand-ins: `python -m tests.support.guarded.supervise '{"worker": {…}, "processes": 1, …}'`.

`worker` is the stand-in's plan, `alone` that of an alone runner's; `without` names the guards that are taken out:
`subreaper`, `deadlines`.
"""

import json
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from workers import supervisor
from workers.limits import Limits
from workers.supervised import Supervised
from workers.supervisor import Supervisor


@dataclass
class Supervision:
    """What is supervised, and how."""

    worker: dict[str, Any]
    processes: int = 1
    drain_s: float = 30.0
    margin_s: float = 15.0
    alone: dict[str, Any] = field(default_factory=dict)
    alone_processes: int = 0
    limits: dict[str, int] = field(default_factory=dict)
    wanted: str = ""  # a file that says how many workers are to run
    without: list[str] = field(default_factory=list)


def main() -> int:
    """Supervise as the command line says."""
    how = Supervision(**json.loads(sys.argv[1]))
    set_up_logs(CoreSettings.read(log_format="json"))
    supervisor._DRAIN_MARGIN_S = how.margin_s
    if "subreaper" in how.without:
        vars(supervisor)["become_subreaper"] = lambda: None
    if "deadlines" in how.without:
        setattr(Supervised, "enforce_deadline", lambda _: None)  # noqa: B010 - mypy forbids the plain way
    command = [sys.executable, "-m", "tests.support.guarded.worker"]
    return Supervisor(
        [*command, json.dumps(how.worker)],
        processes=how.processes,
        drain_s=how.drain_s,
        alone_command=[*command, json.dumps({**how.worker, "kind": "alone", "suspects": 0, **how.alone})],
        alone_processes=how.alone_processes,
        limits=Limits(**how.limits),
        wanted=partial(_wanted, Path(how.wanted)),
    ).run()


def _wanted(file: Path) -> int | None:
    return int(file.read_text()) if file.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
