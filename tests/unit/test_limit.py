"""Limits as job types declare them: what fits, and what is refused by its name."""

from typing import Any

import pytest

from jobs_core import InvalidInput, JobType, Limit
from jobs_core.limit import MOST_KEYS, checked
from jobs_core.new_job import NewJob, is_plain, row_of
from jobs_core.turns import fair_key_of, keys_of
from tests.support.job_types import NOTE
from tests.support.limits import BOUND, Bound, slots_of
from tests.support.turns import ERRAND, LIMITED_ERRAND, OF_USER, Errand


@pytest.mark.parametrize(
    ("limit", "field"),
    [
        ({"key": "", "slots": 1}, "limits.key"),
        ({"key": "a\0", "slots": 1}, "limits.key"),
        ({"key": "x" * 201, "slots": 1}, "limits.key"),
        ({"key": 7, "slots": 1}, "limits.key"),
        ({"key": "a"}, "limits"),
        ({"key": "a", "slots": -1}, "limits.slots"),
        ({"key": "a", "slots": 10_001}, "limits.slots"),
        ({"key": "a", "slots": True}, "limits.slots"),
        ({"key": "a", "slots": 1.5}, "limits.slots"),
        ({"key": "a", "slots": 1, "weight": 0}, "limits.weight"),
        ({"key": "a", "slots": 1, "burst": 2.0}, "limits.burst"),
        ({"key": "a", "rate_per_s": 0.0}, "limits.rate_per_s"),
        ({"key": "a", "rate_per_s": float("nan")}, "limits.rate_per_s"),
        ({"key": "a", "rate_per_s": float("inf")}, "limits.rate_per_s"),
        ({"key": "a", "rate_per_s": "5"}, "limits.rate_per_s"),
        ({"key": "a", "rate_per_s": 1e-310}, "limits.rate_per_s"),
        ({"key": "a", "rate_per_s": 10**400}, "limits.rate_per_s"),
        ({"key": "a", "rate_per_s": 1.0, "burst": 10**400}, "limits.burst"),
        ({"key": "a", "rate_per_s": 1.0, "burst": 0.5}, "limits.burst"),
    ],
)
def test_a_limit_that_does_not_fit_is_refused_by_its_name(limit: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(Limit(**limit))
    assert refused.value.field == field
    assert str(refused.value).startswith(field)


@pytest.mark.parametrize(("rate_per_s", "burst"), [(0.01, 1.001), (1.0, 1.1), (10.0, 5.0), (200.0, 100.0)])
def test_a_burst_that_is_not_given_is_short_but_holds_more_than_one_permit(rate_per_s: float, burst: float) -> None:
    assert checked(Limit("a", rate_per_s=rate_per_s)).burst == pytest.approx(burst)


def test_a_job_has_each_of_its_keys_once_and_not_too_many() -> None:
    for keys in (["a", "b", "a"], [str(n) for n in range(MOST_KEYS + 1)]):
        with pytest.raises(InvalidInput, match=r"^limits: .*see bound's limits"):
            row_of(NewJob(BOUND, Bound(limits=[slots_of(key) for key in keys])), BOUND)


def test_only_a_job_without_limits_is_plain_and_those_with_the_same_keys_are_a_group() -> None:
    assert is_plain(row_of(NewJob(NOTE, {}), NOTE))
    assert is_plain(row_of(NewJob(BOUND, {}), BOUND))
    row = row_of(NewJob(BOUND, Bound(limits=[slots_of("b"), slots_of('a"é')])), BOUND)
    assert not is_plain(row)
    assert row["limit_group"] == '["a\\"é", "b"]'


def test_keys_that_are_too_long_together_are_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 1000 bytes"):
        row_of(NewJob(BOUND, Bound(limits=[slots_of("é" * 199 + n) for n in "abc"])), BOUND)


def test_whose_a_job_is_stands_first_in_its_group() -> None:
    rows = [
        row_of(NewJob(job_type, {"user": user, "limits": limits}, user_id="ann"), job_type)
        for job_type, user, limits in (
            (ERRAND, "é", {}),
            (ERRAND, None, {}),
            (LIMITED_ERRAND, "b", {"b": 1, "a": 1}),
            (OF_USER, "b", {}),
        )
    ]
    assert [row["limit_group"] for row in rows] == ['[["é"]]', '[[""]]', '[["b"], "a", "b"]', '[["ann"]]']
    assert [row["limits"] is None for row in rows] == [True, True, False, True]
    assert [fair_key_of(row["limit_group"]) for row in rows] == ["é", "", "b", "ann"]
    assert keys_of('[["b"], "a", "b"]') == ["a", "b"]
    assert fair_key_of('["a"]') is None
    assert not any(is_plain(row) for row in rows)


@pytest.mark.parametrize(("user", "says"), [("x" * 201, "fair_by: 201 characters"), ("\0", "fair_by: ")])
def test_a_name_that_is_none_is_refused(user: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        row_of(NewJob(JobType("of", Errand, fair_by=lambda _: user), {}), JobType("of", Errand, fair_by=lambda _: user))
