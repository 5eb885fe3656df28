"""`./jobs worker`: workers that join a database, from any host; and the hidden commands of the processes below it."""

from typing import Annotated

import typer

from cli.options import Data, JsonLogs, Processes, Queues, Slots


def register(app: typer.Typer) -> None:
    """Add the command, and the hidden ones: the supervisor as a process of `up`, and one worker process."""
    app.command(epilog="Example: DATABASE_URL=postgresql://… ./jobs worker --queue default --processes 4")(worker)
    app.command("supervise", hidden=True)(supervise)
    app.command("worker-process", hidden=True)(worker_process)
    app.command("alone-process", hidden=True)(alone_process)


def worker(
    queue: Queues = None,
    slots: Slots = None,
    processes: Processes = None,
    data: Data = None,
    as_json: JsonLogs = False,
) -> int:
    """Run workers on DATABASE_URL, or on the database of the ./jobs up that runs.

    Ctrl-C drains them; a second one cuts that short.
    """
    import asyncio
    import os

    from cli.database import check_way_of_workers, choose_database, require_usable
    from cli.folder import Folder
    from cli.metrics import counting
    from cli.model import to_join
    from cli.printing import note
    from cli.settings import CliSettings
    from cli.supervise import run_supervisor
    from cli.table import build_table
    from jobs_core.log import set_up_logs
    from jobs_core.settings import CoreSettings
    from sessions.options import find_cli
    from sessions.settings import SessionSettings

    if as_json:
        os.environ["JOBS_LOG_FORMAT"] = "json"  # for the processes below, too
    core, settings = CoreSettings.read(), CliSettings.read(data=data, processes=processes)
    set_up_logs(core)
    build_table(settings.handlers)
    database_url = choose_database(settings)
    asyncio.run(require_usable(database_url))
    asyncio.run(check_way_of_workers(core, database_url))
    if not core.database_url:
        os.environ.update(to_join(Folder(settings.data).joins(), SessionSettings.read()))
    os.environ["JOBS_DATA"] = str(settings.data.absolute())
    if slots is not None:
        os.environ["JOBS_SLOTS"] = str(slots)
    sessions = SessionSettings.read()
    if sessions.has_credentials:
        find_cli(sessions)
    else:
        note(
            "No Anthropic credentials: these workers leave agents' jobs to others. Set ANTHROPIC_API_KEY to change that."
        )
    with counting(settings, joins=not core.database_url, processes=True):
        return run_supervisor(settings.processes, queue or [])


def supervise(processes: Annotated[int, typer.Option()], queue: Queues = None, data: Data = None) -> int:
    """Supervise worker processes for the `up` of the folder, as many as `./jobs scale` says."""
    from cli.parent import end_with_parent

    end_with_parent()
    from cli.folder import Folder
    from cli.settings import CliSettings
    from cli.supervise import run_supervisor
    from jobs_core.log import set_up_logs
    from jobs_core.settings import CoreSettings

    set_up_logs(CoreSettings.read())
    return run_supervisor(processes, queue or [], Folder(CliSettings.read(data=data).data).processes)


def worker_process(queue: Queues = None) -> None:
    """Be one worker process, under a supervisor."""
    _run_under_guard(queue or [], alone=False)


def alone_process(queue: Queues = None) -> None:
    """Be one process for jobs that run alone, under a supervisor."""
    _run_under_guard(queue or [], alone=True)


def _run_under_guard(queues: list[str], *, alone: bool) -> None:
    import asyncio

    from workers.guard_link import GuardLink

    link = GuardLink.from_environment()  # first thing: until then nobody guards us

    from cli.worker_process import run_worker

    asyncio.run(run_worker(queues, link, alone=alone))
