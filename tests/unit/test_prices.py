"""What calls cost by list price."""

from decimal import Decimal

import pytest

from sessions.prices import GUESS, PRICES, Tokens, cost_usd, listed, listed_name


def test_a_call_costs_each_kind_of_token_at_its_price() -> None:
    tokens = Tokens(input=1_000_000, output=100_000, cache_read=1_000_000, cache_write=1_000_000)
    assert cost_usd("claude-sonnet-5", tokens) == Decimal(2) + Decimal(1) + Decimal("0.2") + Decimal("2.5")


def test_what_is_cached_for_an_hour_costs_twice_the_input() -> None:
    tokens = Tokens(cache_write=3_000_000, cache_write_hour=1_000_000)
    assert cost_usd("claude-sonnet-5", tokens) == 2 * Decimal("2.5") + Decimal(4)


def test_a_search_is_paid_for() -> None:
    assert cost_usd("claude-sonnet-5", Tokens(searches=3)) == Decimal("0.03")


@pytest.mark.parametrize(
    ("model", "listed_as"),
    [
        ("claude-sonnet-5", "claude-sonnet-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-opus-4-7[1m]", "claude-opus-4-7"),
        ("claude-sonnet-50", None),
        ("claude-next", None),
    ],
)
def test_a_model_is_listed_by_its_name_with_or_without_date_and_window(model: str, listed_as: str | None) -> None:
    assert listed(model) == (PRICES[listed_as] if listed_as else None)
    assert listed_name(model) == listed_as


def test_a_model_that_is_not_listed_is_taken_for_the_dearest() -> None:
    assert cost_usd("claude-next", Tokens(output=1_000_000)) == GUESS.output == max(p.output for p in PRICES.values())
