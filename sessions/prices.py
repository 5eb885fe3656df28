"""What tokens cost: list prices as data, so that a new model or price is a line here.

Source: the table that Claude Code 2.1.329 counts by, read out of its results on 21 November 2026. An estimate by the list,
not a bill. A prompt written to the cache for an hour costs twice the input's price, by Anthropic's price list; what the API
answers in the US alone costs a tenth more. Its fast mode costs up to six times as much: no run may use it (model_proxy/run.py).
"""

from dataclasses import dataclass
from decimal import Decimal

_PER = Decimal(1_000_000)
_HOUR_WRITE = 2
_US_ONLY = Decimal("1.1")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens; cache_write: for five minutes."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal

    @property
    def cache_write_hour(self) -> Decimal:
        """Likewise for an hour."""
        return self.input * _HOUR_WRITE


@dataclass(slots=True)
class Tokens:
    """Tokens of one call; cache_write_hour of cache_write were written for an hour.

    searches: by the API's own web search. us_only: the API was to answer in the US alone.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0
    searches: int = 0
    us_only: bool = False


def _price(*dollars: str) -> Price:
    return Price(*map(Decimal, dollars))


PRICES = {
    "claude-sonnet-5": _price("2", "10", "0.2", "2.5"),
    "claude-opus-5": _price("5", "25", "0.5", "6.25"),
    "claude-opus-4-7": _price("5", "25", "0.5", "6.25"),
    "claude-haiku-4-5": _price("1", "5", "0.1", "1.25"),
    "claude-fable-5": _price("10", "50", "1", "12.5"),
}
SEARCH = Decimal("0.01")
"""US dollars for one web search."""
GUESS = max(PRICES.values(), key=lambda price: price.output)
"""Of a model that is not listed: the dearest, so that a cap errs on the side of the one who pays."""


def listed(model: str) -> Price | None:
    """The price of a model by its name, dated (`claude-haiku-4-5-20251001`) or with a context window (`…[1m]`) or not."""
    name = listed_name(model)
    return PRICES[name] if name else None


def listed_name(model: str) -> str | None:
    """Likewise, by what name it stands in the list."""
    found = (name for name in PRICES if model == name or model.startswith((f"{name}-", f"{name}[")))
    return next(found, None)


def cost_usd(model: str, tokens: Tokens) -> Decimal:
    """What a call's tokens cost, at the guess where the model is not listed."""
    price = listed(model) or GUESS
    five_minutes = tokens.cache_write - tokens.cache_write_hour
    millionths = (
        tokens.input * price.input
        + tokens.output * price.output
        + tokens.cache_read * price.cache_read
        + five_minutes * price.cache_write
        + tokens.cache_write_hour * price.cache_write_hour
    )
    return millionths / _PER * (_US_ONLY if tokens.us_only else 1) + tokens.searches * SEARCH
