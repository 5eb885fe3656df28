"""The gate for data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from jobs_core import InvalidInput
from jobs_core.gate import check_text, clean_text, fit, from_json, to_json


class Inner(BaseModel):
    n: int


class Outer(BaseModel):
    inner: list[Inner]


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": NaN}', r"input\.a: nan is not a number"),
        ('{"a": [1, 1e400]}', r"input\.a\.1: inf is not a number"),
        ('{"a": -Infinity}', r"input\.a: -inf"),
        ('{"a": "\\u0000"}', r"input\.a: contains a NUL"),
        ('{"a\\u0000": 1}', r"contains a NUL"),
        ('{"a": "\\ud800"}', r"input\.a: contains half of a surrogate pair"),
        (deep(100), "nested deeper than 64"),
        (deep(10_000), "nested deeper than 64"),
        (deep(200_000), "nested deeper than 64|bytes, at most"),
        ("{", "input: not JSON"),
        ("", "input: not JSON"),
        ('"' + "x" * 300_000 + '"', "bytes, at most 262144"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        from_json(text, field="input", max_bytes=262_144)
    assert refused.value.field.startswith("input")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@given(json_values)
def test_whatever_passes_comes_back_as_it_was(value: object) -> None:
    try:
        text = to_json(value, field="input", max_bytes=1_000_000)
    except InvalidInput:
        assert "\\u0000" in json.dumps(value)
        return
    assert from_json(text, field="input", max_bytes=1_000_000) == value


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_our_own_text_always_becomes_something_that_can_be_kept(text: str) -> None:
    kept = clean_text(text, max_chars=10)
    assert check_text(kept, field="error") == kept
    assert len(kept) <= 10


def test_a_field_deep_in_a_model_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"input\.inner\.1\.n: ") as refused:
        fit(Outer, {"inner": [{"n": 1}, {"n": "x"}]}, field="input")
    assert refused.value.field == "input.inner.1.n"


class Anything(BaseModel):
    n: int = 0
    b: bytes = b""
    items: dict[str, object] = {}


def endless() -> dict[str, object]:
    inside: dict[str, object] = {}
    inside["again"] = inside
    return inside


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Anything(n=10**5000), "input: cannot be written as JSON: .*digits"),
        (Anything(b=b"\xff"), "input: cannot be written as JSON: .*utf-8"),
        (Anything(items=endless()), "input: "),
        (endless(), "input: nested deeper than 64"),
        ({"a": {1, 2}}, "input: cannot be written as JSON: .*set"),
        ({1: "a"}, "input: the key 1 is not text"),
    ],
    ids=["int of 5,001 digits", "bytes", "recursive model", "recursive dict", "set", "key"],
)
def test_a_value_that_json_cannot_hold_is_refused_by_name(value: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        to_json(value, field="input", max_bytes=1_000_000)
    assert refused.value.field == "input"


def test_a_number_longer_than_python_reads_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"input: not JSON: .*digits"):
        from_json("1" * 5000, field="input", max_bytes=262_144)


class Loose(BaseModel):
    value: object = None
    maybe: object = None


@pytest.mark.parametrize("before", ["", "long " * 1_000], ids=["a short model", "a long one"])
def test_a_nan_that_a_model_would_write_as_null_is_refused_by_name(before: str) -> None:
    with pytest.raises(InvalidInput, match=r"input\.value\.1\.x: nan is not a number") as refused:
        to_json(Loose(value=[before, {"x": float("nan")}]), field="input", max_bytes=1_000_000)
    assert refused.value.field == "input.value.1.x"
    assert to_json(Loose(value=[before, None]), field="input", max_bytes=1_000_000).count("null") == 2


def test_what_is_not_text_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="queue: is bytes, not text"):
        check_text(b"x", field="queue")  # type: ignore[arg-type] # as a caller without types does


def test_a_place_is_put_together_only_where_something_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each item below long keys kept a door busy for seconds."""
    told = list[int]()

    def place(path: list[str | int]) -> str:
        told.append(len(path))
        return "place"

    monkeypatch.setattr("jobs_core.gate._place", place)
    from_json('{"a": {"b": [1, "x", [2.5, null]]}}', field="input", max_bytes=1_000)
    assert told == []
    with pytest.raises(InvalidInput, match=r"^place: nan"):
        from_json('{"a": {"b": [1, "x", [NaN, null]]}}', field="input", max_bytes=1_000)
    assert set(told) == {5}


def test_the_place_of_what_is_refused_is_told_in_bounds() -> None:
    keys = '{"' + "k" * 999 + '": '
    with pytest.raises(InvalidInput) as refused:
        from_json(f"{keys * 60}NaN{'}' * 60}", field="input", max_bytes=1_000_000)
    assert len(refused.value.field) == 1_000
