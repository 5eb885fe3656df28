"""A supervisor of stand-ins: `python -m tests.support.guarded.supervise '{"worker": {…}, "processes": 1, …}'`.

`worker` is the stand-in's plan; `without` names the guards that are taken out: `subreaper`, `deadlines`.
"""

import json
import sys
from dataclasses import dataclass, field
from typing import Any

from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from workers import supervisor
from workers.supervised import Supervised
from workers.supervisor import Supervisor


@dataclass
class Supervision:
    """What is supervised, and how."""

    worker: dict[str, Any]
    processes: int = 1
    drain_s: float = 30.0
    margin_s: float = 15.0
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
    command = [sys.executable, "-m", "tests.support.guarded.worker", json.dumps(how.worker)]
    return Supervisor(command, processes=how.processes, drain_s=how.drain_s).run()


if __name__ == "__main__":
    sys.exit(main())
