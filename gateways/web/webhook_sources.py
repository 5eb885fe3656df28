"""The sources as a door knows them: read at most once a second, for all requests together."""

import time
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from gateways.web.shared import Shared
from gateways.webhooks.schemes import Scheme, scheme_of
from gateways.webhooks.sources import Definition, define
from jobs_core import Database, InvalidInput, fetch, statement

log = structlog.get_logger()

FRESH_S = 1.0


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A source that takes events."""

    name: str
    definition: Definition
    scheme: Scheme
    secrets: Sequence[str] = field(repr=False)


class KnownSources:
    """What `find` tells is at most fresh_s old."""

    def __init__(self, database: Database, fresh_s: float = FRESH_S) -> None:
        self._database = database
        self._fresh_s = fresh_s
        self._look = Shared(self._read)
        self._sources: Dict[str, KnownSource] = {}
        self._stale_at = 0.0

    async def find(self, name: str) -> KnownSource | None:
        """The source; None: there is none, or it is switched off. Raises one of ConnectionFailed."""
        if time.monotonic() >= self._stale_at:
            await self._look()
        return self._sources.get(name)

    async def _read(self) -> None:
        began = time.monotonic()
        async with self._database.connection() as conn:
            rows = await fetch(conn, statement("gateways", "webhook_source/known"))
        known = dict[str, KnownSource]()
        for row in rows:
            name, secrets = row.pop("name"), row.pop("secrets")
            try:
                definition = define(row)
                scheme = scheme_of(definition.scheme, definition.settings)
            except InvalidInput as error:  # newer code, or a hand, wrote it; the others must not suffer
                log.warning("webhook_source.unusable", source=name, why=str(error))
                continue
            known[name] = KnownSource(name, definition, scheme, [one for one in secrets if _suits(scheme, one)])
        self._sources, self._stale_at = known, began + self._fresh_s


def _suits(scheme: Scheme, secret: str) -> bool:
    """Not one of another scheme, which the source had before."""
    try:
        scheme.check_secret(secret)
    except InvalidInput:
        return False
    return True
