"""Which model serves: the real API where there are credentials, tried by one call, else the built-in simulator.

Both are begun before the database is, and awaited after it: neither needs the other.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from cli.child import Child, environment, ours
from jobs_core import ConfigurationError
from sessions.settings import SessionSettings

PROBE_COMMAND = "probe-model"
_MODEL_VARIABLES = {"ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"}
_SIMULATOR_ENDS_S = 5.0
_PROBE_ENDS_S = 2.0


class RealApi:
    """The API behind credentials, tried by one call in a process of its own: the SDK takes 100 MB that nobody gives back."""

    kind = "api"

    def __init__(self, settings: SessionSettings, probe: Child) -> None:
        self.label = f"{settings.model}, at {settings.shown_url}"
        self.process: Child | None = None
        self._probe = probe

    async def ready(self) -> dict[str, str]:
        """What workers' environment needs besides ours: nothing. Raises ConfigurationError where the call did not succeed."""
        outcome = json.loads(await self._probe.report())
        if outcome["failed"]:
            raise ConfigurationError(outcome["failed"])
        return {}


class Simulator:
    """The simulator, in a process that is kept: on the same port and with the same key after a restart."""

    kind = "simulator"
    label = "the built-in simulator: no Anthropic credentials were found"

    def __init__(self, forced: asyncio.Event) -> None:
        self._key = secrets.token_urlsafe(16)
        self._port = 0
        self.process = Child(
            "simulator",
            lambda: ours("-m", "simulator", "--exit-with-stdin", "--port", str(self._port)),
            lambda: environment(SIMULATOR_API_KEY=self._key),
            patience_s=_SIMULATOR_ENDS_S,
            forced=forced,
            reports=True,
        )

    async def ready(self) -> dict[str, str]:
        """Where workers find it. Raises CommandFailed where it did not come up."""
        url = str(json.loads(await self.process.report())["url"])
        self._port = int(url.rsplit(":", 1)[1])
        return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": self._key}


async def refused() -> str | None:
    """Try model and credentials of this environment by one call, as `up` does; why that did not succeed, or None: it did."""
    command = ours("-m", "cli", PROBE_COMMAND)
    forced = asyncio.Event()
    async with Child(
        "probe", lambda: command, environment, patience_s=_PROBE_ENDS_S, forced=forced, reports=True
    ) as probe:
        await probe.start()
        why: str | None = json.loads(await probe.report())["failed"]
        return why


def to_join(joins: Mapping[str, str], own: SessionSettings) -> dict[str, str]:
    """The variables that a worker takes over from an `up`: address and key as one set, none of it beside own credentials.

    Mixed, the simulator would be sent a real key.
    """
    return {name: value for name, value in joins.items() if not (own.has_credentials and name in _MODEL_VARIABLES)}


@asynccontextmanager
async def begun(settings: SessionSettings, forced: asyncio.Event) -> AsyncIterator[RealApi | Simulator]:
    """Whichever serves, begun but not awaited; ended after the block."""
    if not settings.has_credentials:
        simulator = Simulator(forced)
        async with simulator.process:
            await simulator.process.start()
            yield simulator
        return
    command = ours("-m", "cli", PROBE_COMMAND)
    async with Child(
        "probe", lambda: command, environment, patience_s=_PROBE_ENDS_S, forced=forced, reports=True
    ) as probe:
        await probe.start()
        yield RealApi(settings, probe)
