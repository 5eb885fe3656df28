"""Where processes without a web door count, and show what they counted: at JOBS_METRICS_ADDRESS, from a thread.

./jobs worker ─┬─ worker process ─ counts ─▶ a folder ◀─ reads ─ the supervisor, at JOBS_METRICS_ADDRESS
               └─ …                            └─ that of the `./jobs up` it joins, whose web door shows it as well
./jobs telegram ─ counts in memory, and shows that
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from cli.errors import CommandFailed
from cli.folder import Folder
from cli.printing import note
from cli.settings import CliSettings
from jobs_core.counted import VARIABLE, Counted


@contextmanager
def counting(settings: CliSettings, *, joins: bool = False, processes: bool = False) -> Iterator[None]:
    """Serve what is counted inside the block, where an address is set. Raises CommandFailed where it cannot be had.

    processes: it is counted by processes that are started inside, in a folder that is in their environment then; joins: that
    of the `./jobs up` which runs, if there is one.
    """
    with ExitStack() as stack:
        if processes and VARIABLE not in os.environ:
            if joins and Folder(settings.data).running():
                os.environ[VARIABLE] = str(Folder(settings.data).metrics)
            elif settings.metrics_address:
                os.environ[VARIABLE] = stack.enter_context(tempfile.TemporaryDirectory(prefix="jobs-metrics-"))
        if settings.metrics_address:
            _serve(settings.metrics_address, stack)
        yield


def _serve(address: str, stack: ExitStack) -> None:
    host, _, port = address.rpartition(":")
    registry = CollectorRegistry()
    folder = os.environ.get(VARIABLE)
    registry.register(Counted(Path(folder) if folder else None))
    try:
        server, _ = start_http_server(int(port), host.strip("[]"), registry)
    except (OSError, OverflowError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else str(error)
        raise CommandFailed(f"JOBS_METRICS_ADDRESS={address} cannot be had ({why}): give another, or none") from error
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    note(f"Counters on http://{host}:{server.server_port}/metrics")
