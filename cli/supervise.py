"""The supervisor of this host's worker processes, which is also their guard."""

from collections.abc import Callable, Sequence

from cli.child import environment, ours
from workers.limits import Limits
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor


def run_supervisor(processes: int, queues: Sequence[str], wanted: Callable[[], int | None] = lambda: None) -> int:
    """Run so many worker processes until a signal, and return the exit status; `queues` empty: all that are known.

    wanted: how many are to run instead, whenever it says another number.
    """
    chosen = [part for queue in queues for part in ("--queue", queue)]
    settings = WorkerSettings.read()
    supervisor = Supervisor(
        ours("-m", "cli", "worker-process", *chosen),
        processes=processes,
        drain_s=settings.drain_s,
        alone_command=ours("-m", "cli", "alone-process", *chosen),
        alone_processes=settings.alone_processes,
        limits=Limits(memory_bytes=settings.worker_memory_bytes, processes=settings.worker_processes),
        environment=environment(),
        wanted=wanted,
    )
    return supervisor.run()
