"""One tiny call through the real CLI, before the first job is spent: do key, model and network work?"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import structlog

from jobs_core import ConfigurationError
from sessions.account import RunAccount
from sessions.agent import AgentSetup
from sessions.conversation import CliBroke, Heard, Manners, converse
from sessions.errors import CredentialsRefused, RateLimited
from sessions.failures import Failure, to_error
from sessions.options import Access, build_options
from sessions.processes import kill_run
from sessions.scratch import RunFolder, Scratch
from sessions.settings import SessionSettings

_SILENCE_S = 60.0

log = structlog.get_logger()


async def probe(settings: SessionSettings) -> None:
    """Ask the model for one word and return if it answers, or would if it were not busy.

    Costs a few tokens. Raises ConfigurationError with one line for the operator: no CLI, a refused key, no credit, an
    unknown model, an API that cannot be reached.
    """
    try:
        heard = await _ask_once(settings)
    except CliBroke as error:
        raise ConfigurationError(f"The Claude Code CLI does not work here: {error}") from error
    if heard.failure:
        _judge(heard.failure, settings)


async def _ask_once(settings: SessionSettings) -> Heard:
    scratch = Scratch(settings.scratch_folder)
    scratch.open()
    try:
        with scratch.run_folder(uuid4()) as folder:
            async with _proxied(settings) as access:
                return await _converse(settings, folder, scratch.empty, access)
    finally:
        scratch.close()


@asynccontextmanager
async def _proxied(settings: SessionSettings) -> AsyncIterator[Access]:
    """A way to the API as runs have it, but that no ledger is kept: there may be no database yet."""
    from sessions.model_proxy.proxy import ModelProxy

    proxy = ModelProxy(settings, None)
    try:
        async with proxy.run(RunAccount(uuid4(), token=0), uuid4(), epoch=0) as (api, url):
            yield Access(url, api.credential)
    finally:
        await proxy.stop()


async def _converse(settings: SessionSettings, folder: RunFolder, cwd: Path, access: Access) -> Heard:
    options = build_options(settings, folder, AgentSetup("Be brief."), cwd=cwd, access=access, max_retries=0)
    options.max_turns = 1
    prompt = {"type": "user", "message": {"role": "user", "content": "Say ok."}, "parent_tool_use_id": None}
    try:
        manners = Manners(_SILENCE_S, asyncio.Semaphore(), lambda: kill_run(folder.home))
        return await converse(options, prompt, manners)
    finally:
        kill_run(folder.home)


def _judge(failure: Failure, settings: SessionSettings) -> None:
    """Let pass what a later try may get through; raise ConfigurationError for the rest."""
    api = settings.shown_url
    if settings.base_url:  # the CLI may repeat it
        failure = replace(failure, text=failure.text.replace(settings.base_url.rstrip("/"), api))
    error = to_error(failure)
    if isinstance(error, RateLimited) or (failure.status or 0) >= 500:  # noqa: PLR2004 - HTTP's server errors
        log.warning("model.was_busy", status=failure.status)
        return
    if isinstance(error, CredentialsRefused):
        raise ConfigurationError(str(error))
    if failure.error == "model_not_found":
        raise ConfigurationError(f"{api} does not know the model {settings.model!r}; set JOBS_MODEL to one it serves")
    if failure.status is None:
        raise ConfigurationError(f"{api} cannot be reached: {failure.text}; check the network and ANTHROPIC_BASE_URL")
    raise ConfigurationError(f"{api} refused a trial request: {failure.text}")
