"""The supervisor of this host's worker processes, which is also their guard."""

from collections.abc import Sequence

from cli.child import environment, ours
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor


def run_supervisor(processes: int, queues: Sequence[str]) -> int:
    """Run so many worker processes until a signal, and return the exit status; `queues` empty: all that are known."""
    command = ours("-m", "cli", "worker-process", *(part for queue in queues for part in ("--queue", queue)))
    supervisor = Supervisor(
        command, processes=processes, drain_s=WorkerSettings.read().drain_s, environment=environment()
    )
    return supervisor.run()
