"""`./jobs up`: everything in one folder, started in order, and again whatever dies.

    take folder and port ─▶ simulator or probe ─▶ Postgres ─▶ migrate ─▶ workers, web ─▶ /health ─▶ ready
    stop: web (takes no more) ─▶ scheduler ─▶ workers (drain) ─▶ simulator ─▶ Postgres

    up ─┬─ web
        ├─ scheduler
        ├─ telegram          where an account is logged in
        ├─ supervisor ─── worker … ─── Claude CLI …
        ├─ simulator
        └─ keeper ─────── Postgres …

What a person has to mend is found before web and workers start, and nothing is left running then.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from cli.child import Child, environment, ours
from cli.database import bring_up_to_date, check_way_of_workers, connected
from cli.errors import CommandFailed
from cli.folder import Folder, Running
from cli.kept_postgres import database_of, keep_postgres
from cli.listener import listen
from cli.model import RealApi, Simulator, begun
from cli.printing import note, print_json
from cli.ready import answers
from cli.settings import CliSettings
from cli.table import build_table
from gateways.telegram.accounts import list_accounts
from jobs_core import DatabaseUnusable, HandlerTable, db
from jobs_core.settings import CoreSettings
from sessions.options import find_cli
from sessions.settings import SessionSettings
from workers.settings import WorkerSettings

_WEB_ENDS_S = 10.0
_SCHEDULER_ENDS_S = (
    10.0  # a batch takes a tenth of a second, and waits for nobody's lock for longer than a deadlock is found in
)
_AFTER_DRAIN_S = 25.0  # the supervisor gives its workers 15 s to hand back, and takes 5 s to clean up
_READY_WITHIN_S = 60.0
_TELEGRAM_ENDS_S = 15.0  # its workers give what they send 5 s
_LOOK_FOR_ACCOUNTS_S = 5.0


async def up(settings: CliSettings, forced: asyncio.Event, *, as_json: bool) -> None:
    """Run everything until cancelled. Raises ConfigurationError and CommandFailed for what a person can mend."""
    began = time.monotonic()
    core, workers, sessions = CoreSettings.read(), WorkerSettings.read(), SessionSettings.read()
    find_cli(sessions)
    table = build_table(settings.handlers)
    folder = Folder(settings.data)
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.taken())
        listener = stack.enter_context(listen(settings.port))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        model = await stack.enter_async_context(begun(sessions, forced))
        postgres, database_url = await stack.enter_async_context(database_of(folder))
        await _migrate(database_url, table)
        await check_way_of_workers(core, database_url)
        direct = {"DATABASE_DIRECT_URL": core.database_direct_url} if core.database_direct_url else {}
        joins = {"DATABASE_URL": database_url, **direct, **await model.ready()}
        token = settings.token or folder.make_token()
        running = Running(url, os.getpid(), model.kind)
        stack.enter_context(folder.announced(running, joins))
        environ = environment(**joins, JOBS_DATA=str(folder.path), PROMETHEUS_MULTIPROC_DIR=str(folder.metrics))
        children = [
            _supervisor(folder, settings.processes, environ, workers.drain_s, forced),
            _scheduler(environ, forced),
            _web(listener, model.label, environ, token, forced),
        ]
        note("Starting the web API, the scheduler and the workers.")
        telegram = _telegram(environ, forced)
        for child in (*children, telegram):
            await stack.enter_async_context(child)
        for child in children:
            await child.start()
        await _until_ready(url, children)
        _say_ready(url, model, began, as_json=as_json)

        def on_move(new_url: str) -> None:
            environ["DATABASE_URL"] = joins["DATABASE_URL"] = new_url
            folder.announce(running, joins)
            for child in (*children, telegram):
                child.end()

        kept = [*children, *([model.process] if model.process else [])]
        await asyncio.gather(
            *(child.keep() for child in kept),
            _keep_telegram(telegram, lambda: joins["DATABASE_URL"]),
            keep_postgres(postgres, on_move),
        )


def _supervisor(
    folder: Folder, processes: int, environ: Mapping[str, str], drain_s: float, forced: asyncio.Event
) -> Child:
    command = ours("-m", "cli", "supervise", "--processes", str(processes), "--data", str(folder.path))
    return Child("supervisor", lambda: command, lambda: environ, patience_s=drain_s + _AFTER_DRAIN_S, forced=forced)


def _web(listener: socket.socket, model: str, environ: Mapping[str, str], token: str, forced: asyncio.Event) -> Child:
    command = ours("-m", "cli", "serve", "--fd", str(listener.fileno()), "--model", model)
    return Child(
        "web",
        lambda: command,
        lambda: {**environ, "JOBS_TOKEN": token},
        patience_s=_WEB_ENDS_S,
        forced=forced,
        pass_fds=[listener.fileno()],
    )


def _scheduler(environ: Mapping[str, str], forced: asyncio.Event) -> Child:
    command = ours("-m", "cli", "scheduler-process")
    return Child("scheduler", lambda: command, lambda: environ, patience_s=_SCHEDULER_ENDS_S, forced=forced)


def _telegram(environ: Mapping[str, str], forced: asyncio.Event) -> Child:
    command = ours("-m", "cli", "telegram-process")
    return Child("telegram", lambda: command, lambda: environ, patience_s=_TELEGRAM_ENDS_S, forced=forced)


async def _keep_telegram(telegram: Child, database_url: Callable[[], str]) -> None:
    """Run the Telegram door from when an account is logged in."""
    while not await _has_accounts(database_url()):  # noqa: ASYNC110 - the condition lies in Postgres
        await asyncio.sleep(_LOOK_FOR_ACCOUNTS_S)
    note("A Telegram account is logged in: starting its door.")
    await telegram.start()
    await telegram.keep()


async def _has_accounts(database_url: str) -> bool:
    try:
        async with connected(database_url) as conn:
            return any(account.state == "active" for account in await list_accounts(conn))
    except Exception as error:
        if isinstance(error, DatabaseUnusable) or db.will_pass(error):
            return False  # it is away, and looked at again
        raise


async def _migrate(database_url: str, table: HandlerTable) -> None:
    async with connected(database_url) as conn:
        applied = await bring_up_to_date(conn, table)
    if applied:
        note(f"Applied {len(applied)} migration(s).")


async def _until_ready(url: str, children: Sequence[Child]) -> None:
    """Return when /health answers 200. Raises CommandFailed where a child ends before, or it takes too long."""
    ready = asyncio.create_task(answers(f"{url}/health"))
    ends = {asyncio.create_task(child.ended()): child for child in children}
    try:
        await asyncio.wait({ready, *ends}, timeout=_READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        for ended, child in ends.items():
            if ended.done():
                raise CommandFailed(f"the {child.name} ended ({ended.result()}) before all was ready: why stands above")
        if not ready.done():
            raise CommandFailed(f"{url}/health did not answer 200 within {_READY_WITHIN_S:.0f} s: why stands above")
    finally:
        for task in (ready, *ends):
            task.cancel()


def _say_ready(url: str, model: RealApi | Simulator, began: float, *, as_json: bool) -> None:
    if as_json:
        print_json({"url": url, "pid": os.getpid(), "model": model.kind})
        return
    print(f"Jobs is ready after {time.monotonic() - began:.1f} s.")
    print(f"  address  {url}")
    print(f"  model    {model.label}")
    print('  try      ./jobs chat "hello"')
    print("  stop     Ctrl-C")
