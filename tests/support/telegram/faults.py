"""Faults on demand: what becomes of the next requests of a kind, and of the next updates."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.telegram.people import Account


@dataclass
class RequestFault:
    """What becomes of the next `times` requests of a kind."""

    request: type[Any]
    times: int
    error: tuple[int, str] | None = None
    is_carried_out: bool = False
    cuts: bool = False


@dataclass
class UpdateFaults:
    """What becomes of the next updates to one account: counts that go down to 0, or shares of chance."""

    drop: int = 0
    double: int = 0
    reverse: int = 0
    disconnect_after: int | None = None
    held: list[Any] = field(default_factory=list)
    chance: random.Random | None = None
    shares: dict[str, float] = field(default_factory=dict)

    def plan(self, update: Any) -> list[Any]:
        """Give what is sent now in place of an update: nothing, it, it twice, or it before those that were held back."""
        if self._takes("drop"):
            return []
        if self._takes("reverse"):
            self.held.append(update)
            return [] if self.reverse or len(self.held) == 1 else self._release()
        sent = [update, update] if self._takes("double") else [update]
        return sent + self._release()

    def is_cut_now(self) -> bool:
        """Count an update; say whether the connection is to be cut after it."""
        if self.disconnect_after is None:
            return False
        self.disconnect_after -= 1
        if self.disconnect_after > 0:
            return False
        self.disconnect_after = None
        return True

    def _takes(self, what: str) -> bool:
        left: int = getattr(self, what)
        if left:
            setattr(self, what, left - 1)
            return True
        return self.chance is not None and self.chance.random() < self.shares.get(what, 0)

    def _release(self) -> list[Any]:
        released, self.held = self.held[::-1], []
        return released


class Faults:
    """The faults a test asked for. Each verb says what it does to the client."""

    def __init__(self) -> None:
        self._requests: list[RequestFault] = []
        self._updates: dict[Account, UpdateFaults] = {}
        self.burn_keys_in_two_places = False
        """Refuse a key from the moment that a second connection uses it while the first is open, with AUTH_KEY_DUPLICATED."""

    def flood_wait(self, request: type[Any], seconds: int, *, times: int = 1) -> None:
        """Tell the client to wait."""
        self.refuse(request, f"FLOOD_WAIT_{seconds}", code=420, times=times)

    def refuse(self, request: type[Any], error: str, *, code: int = 400, times: int = 1) -> None:
        """Answer with an error, such as `CHAT_WRITE_FORBIDDEN`."""
        self._requests.append(RequestFault(request, times, error=(code, error)))

    def never_answer(self, request: type[Any], *, carried_out: bool = False, times: int = 1) -> None:
        """Say nothing, ever; the connection stays."""
        self._requests.append(RequestFault(request, times, is_carried_out=carried_out))

    def cut_before_answer(self, request: type[Any], *, carried_out: bool = True, times: int = 1) -> None:
        """Cut the connection in place of an answer."""
        self._requests.append(RequestFault(request, times, is_carried_out=carried_out, cuts=True))

    def updates(self, account: Account) -> UpdateFaults:
        """Give what becomes of an account's updates, to set `drop`, `double`, `reverse` or `disconnect_after`."""
        return self._updates.setdefault(account, UpdateFaults())

    def shake(self, account: Account, seed: int, *, drop: float = 0, double: float = 0, reverse: float = 0) -> None:
        """Drop, double and reverse that share of an account's updates (0 to 1), the same ones for the same seed."""
        faults = self.updates(account)
        faults.chance = random.Random(seed)
        faults.shares = {"drop": drop, "double": double, "reverse": reverse}

    def take(self, request: Any) -> RequestFault | None:
        """Give the fault that a request meets, and count it."""
        for fault in self._requests:
            if fault.times and isinstance(request, fault.request):
                fault.times -= 1
                return fault
        return None
