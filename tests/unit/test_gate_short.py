"""The gate's short way for small models: it lets through what the long way does, in the same words, and nothing else."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from jobs_core import InvalidInput, gate


class Thing(BaseModel):
    """An input that takes anything."""

    value: Any = ""
    number: float = 0.0
    by_name: dict[str, float] = {}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.just("\0"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec=None), max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def said_of(thing: Thing, max_bytes: int = 10_000) -> Any:
    try:
        return json.loads(gate.to_json(thing, field="input", max_bytes=max_bytes))
    except InvalidInput as error:
        return str(error)


@given(value=VALUES, number=st.floats(), by_name=st.dictionaries(st.text(max_size=3), st.floats(), max_size=2))
def test_a_small_model_is_written_or_refused_as_by_the_long_way(
    value: Any, number: float, by_name: dict[str, float]
) -> None:
    thing = Thing(value=value, number=number, by_name=by_name)
    with patch.object(gate, "_short_json", return_value=None):
        wanted = said_of(thing)
    assert said_of(thing) == wanted


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (Thing(value="a\0"), "input.value: contains a NUL"),
        (Thing(value={"\0": 1}), "input.value (a key): contains a NUL"),
        (Thing(value="\ud800"), "input.value: contains half of a surrogate"),
        (Thing(number=float("nan")), "input.number: nan is not a number"),
        (Thing(by_name={"x": float("-inf")}), "input.by_name.x: -inf is not a number"),
        (Thing(value=nested(gate.MAX_DEPTH + 1)), "input: nested deeper than 64"),
        (Thing(value={"k" * (gate.MAX_KEY_CHARS + 1): 1}), "input.value (a key): 1001 characters"),
        (Thing(value="é" * 30), "input: 98 bytes, at most 80"),
        (Thing(value=object()), "input: cannot be written as JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused_is_refused_by_its_place_in_a_small_model_too(thing: Thing, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        gate.to_json(thing, field="input", max_bytes=80 if "bytes" in says else 10_000)
    assert str(refused.value).startswith(says)


def test_an_ordinary_small_model_is_not_walked() -> None:
    with patch.object(gate, "_check", side_effect=AssertionError("walked")):
        assert said_of(Thing(value="x", number=1.5)) == {"value": "x", "number": 1.5, "by_name": {}}
