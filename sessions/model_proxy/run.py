"""One run's right to call the API: its credential, its models, its cap, and why it was refused.

The cap is the hard stop. A call begins only if all calls that are under way, but for the dearest of them, could cost what they
can at most and the cap would still not be reached:

    spent + (the most that all open calls and this one can cost) − (the most of the dearest of them) < cap

Where it would, the call waits until an open one has ended, and it is refused once the cap is reached. A call alone begins
whenever something is left. So what is spent passes the cap by less than what one answer costs, however many calls a run makes
side by side (docs/decisions/0019).
"""

import asyncio
import secrets
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from jobs_core import db
from sessions.account import RunAccount, Usage
from sessions.errors import BudgetExhausted, TurnFailed
from sessions.model_proxy.ledger import Ledger
from sessions.model_proxy.refusal import Refused
from sessions.model_proxy.request import Asked
from sessions.records import taken_by_another
from sessions.usage import OpenCall

if TYPE_CHECKING:
    from collections.abc import Callable

_UNAUTHORIZED, _FORBIDDEN, _UNAVAILABLE = 401, 403, 503
_LAST_WRITES_S = 2.0

log = structlog.get_logger()


class ProxyRun:
    """A run, from its first call to its last. `used`: so far, of calls that have ended; `on_used` is told when that grows.

    refused: the error for the runner to raise where the CLI's failure came from a refusal here; the last one. retry_after_s:
    what the API asked for when it refused the last call.
    """

    def __init__(
        self, account: RunAccount, session_id: UUID, epoch: int, ledger: Ledger | None, spent: Decimal = Decimal(0)
    ) -> None:
        self.credential = f"jobs-run-{secrets.token_urlsafe(32)}"
        self.used = Usage()
        self.on_used: Callable[[Usage], object] | None = None
        self.refused: Exception | None = None
        self.retry_after_s: float | None = None
        self.relays: set[asyncio.Task[None]] = set()
        self._account = account
        self._session_id = session_id
        self._epoch = epoch
        self._ledger = ledger
        self._spent = spent
        self._open: dict[str, Decimal] = {}
        self._over = False
        self._ended = asyncio.Event()
        self._writes: set[asyncio.Task[None]] = set()

    def check(self, model: str, *, fast: bool = False) -> None:
        """Raise Refused where the run is over, or may not call this model, or so: fast mode costs what no price list says."""
        if self._over:
            raise Refused(_UNAUTHORIZED, "authentication_error", "The run of this credential is over")
        models = self._account.models
        if models is not None and model not in models:
            self.refused = TurnFailed(f"The run asked for the model {model!r}, which its agent may not use")
            raise Refused(_FORBIDDEN, "permission_error", f"This run may not use the model {model}")
        if fast:
            self.refused = TurnFailed("The run asked for the API's fast mode, which no agent may use")
            raise Refused(
                _FORBIDDEN, "permission_error", "speed: calls of agents are made at standard speed; leave it out"
            )

    async def begin(self, asked: Asked) -> OpenCall:
        """Let a call begin, once the cap allows it and the ledger knows of it. Raises Refused."""
        while not self._fits(asked.most_usd):
            ended = self._ended
            await ended.wait()
        call = OpenCall(secrets.token_hex(8), asked.model, asked.likely_input_tokens, asked.max_tokens)
        self._open[call.id] = asked.most_usd
        try:
            await self._write_ahead(call)
        except BaseException:
            self.end(call, Usage())  # whether it was written may be unknown
            raise
        return call

    def end(self, call: OpenCall, used: Usage) -> None:
        """Count what a call used, at once for the cap, soon in the ledger."""
        del self._open[call.id]
        self._spent += used.cost_usd
        self.used += used
        if self.on_used:
            self.on_used(self.used)
        self._ended.set()
        self._ended = asyncio.Event()
        if self._ledger:
            write = self._ledger.close(self._account, call, used)
            self._writes.add(write)
            write.add_done_callback(self._writes.discard)

    def cut(self) -> None:
        """End the calls that are under way and let no more begin, at once."""
        self._over = True
        for relay in self.relays:
            relay.cancel()

    async def close(self) -> None:
        """Likewise, and wait until the ledger knows of all; where it is away, not for long."""
        self.cut()
        if self.relays:
            await asyncio.wait(self.relays)
        if self._writes:
            await asyncio.wait(self._writes, timeout=_LAST_WRITES_S)

    def _fits(self, most_usd: Decimal) -> bool:
        """Whether a call that can cost so much may begin now; False: when another has ended. Raises Refused at the cap."""
        cap = self._account.cap_usd
        if cap is None:
            return True
        if self._spent >= cap:
            self.refused = BudgetExhausted(self._spent, cap)
            raise Refused(_FORBIDDEN, "permission_error", f"This run has spent its {cap} US dollars")
        all_but_the_dearest = sorted([*self._open.values(), most_usd])[:-1]
        return self._spent + sum(all_but_the_dearest) < cap

    async def _write_ahead(self, call: OpenCall) -> None:
        if self._ledger is None:
            return
        try:
            holds = await self._ledger.open(self._account, self._session_id, self._epoch, call)
        except Exception as error:
            log.warning("model_call.refused", why="no ledger", error=db.describe(error))
            self.refused = error
            raise Refused(_UNAVAILABLE, "api_error", "The usage ledger cannot be written: no call is made") from error
        if not holds:
            self.refused = taken_by_another(self._session_id, self._epoch)
            raise Refused(_FORBIDDEN, "permission_error", "Another run has taken the session")
