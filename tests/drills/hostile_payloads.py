"""What the drill `hostile` sends: for each field of each door values that must be refused, and whole requests that must be.

A value stands as JSON text, because much of it can be written in no other way; `own` ones are Python's, for creates in a
program.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

_MARK = "@here@"
WHOLE = "body"


@dataclass(frozen=True, slots=True)
class Request:
    """One request and the field that its refusal must name, in `names` ('': any)."""

    kind: str
    names: str
    path: str
    method: str = "POST"
    content: bytes = b""
    chunked: bool = False
    headers: dict[bytes, bytes] = field(default_factory=dict)


def text(rng: random.Random) -> dict[str, str]:
    """JSON that is no text that a name may be."""
    before = "x" * rng.randrange(100)
    return {
        "NUL": f'"{before}\\u0000b"',
        "high surrogate": f'"{before}\\ud8{rng.randrange(16):x}0b"',
        "low surrogate": f'"{before}\\udfff"',
        "surrogates swapped": f'"{before}\\udc00\\ud800"',
        "long": f'"{"é" * rng.randrange(201, 20_000)}"',
        "float": "1.5",
        "true": "true",
        "list": '["x"]',
        "object": '{"x": 1}',
        **numbers_of_none(rng),
    }


def numbers_of_none(rng: random.Random) -> dict[str, str]:
    """JSON, or nearly, that is no number either."""
    return {
        "NaN": "NaN",
        "infinity": rng.choice(["Infinity", "-Infinity"]),
        "1e400": rng.choice(["1e400", "-1e400", "1" + "0" * 400 + ".0"]),
        "many digits": "1" * rng.randrange(4_400, 9_000),
        "deep": deep(rng.choice([66, 100, 10_000, 100_000]), rng),
    }


def integers(rng: random.Random, outside: list[str]) -> dict[str, str]:
    """JSON that is none of the integers that are taken."""
    strange = ['"x"', '""', "[]", "{}", "1.5", "99999999999999999999999", "9" * 4_000, '"\\u0000"']
    return {json_text[:12]: json_text for json_text in [*outside, *strange]} | numbers_of_none(rng)


def deep(levels: int, rng: random.Random) -> str:
    """Lists or objects in each other."""
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    return opening * levels + "1" + closing * levels


_MOMENTS = [datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23))), "now", 5]
_TIMES = [
    *(
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
    ),
    *(
        "2030-01-01T00:00:00",
        "2030-01-01T00:00:00+24:00",
        "2030-01-01T00:00:00-24:00",
        "2030-02-30T00:00:00Z",
        "now",
        "",
    ),
    "2030-01-01T25:00:00Z",
]


def jobs_fields(rng: random.Random) -> dict[str, dict[str, str]]:
    """For each field of POST /api/jobs what it must not be."""
    names = text(rng) | {"empty": '""', "number": "7"}
    deep_inside = {"NUL": '"\\u0000"', "in a key": '{"a\\ud800": 1}', "long key": f'{{"{"k" * 1_001}": 1}}'}
    return {
        **dict.fromkeys(("job_type", "queue", "user_id", "project_id", "unique_key"), names),
        "priority": integers(rng, ["-1", "5"]),
        "task_id": integers(rng, ["0", "-1", str(2**63)]),
        "scheduled_in_s": integers(rng, ["-1", "1e18"]) | {"1.5": '"1.5.1"'},
        "scheduled_at": {time: json.dumps(time) for time in _TIMES} | numbers_of_none(rng),
        **dict.fromkeys(("debounce_s", "debounce_at_most_s"), integers(rng, ["0", "-1", "1e18"]) | {"1.5": '"1.5.1"'}),
        "unique_while": {"word": '"for ever"', "number": "7", **numbers_of_none(rng)},
        "input": {
            "list": "[]",
            "text": '"x"',
            "number": "7",
            "null": "null",
            "large": f'{{"payload": "{"é" * 140_000}"}}',
        },
        "input.payload": deep_inside | numbers_of_none(rng),
        "input.n": integers(rng, ["-2", "7"]),
        "input.colour": text(rng) | {"fine": "1"},
        "colour": text(rng) | {"fine": "1"},
    }


def chat_fields(rng: random.Random) -> dict[str, dict[str, str]]:
    """For each field of POST /api/chat what it must not be."""
    said = {name: value for name, value in text(rng).items() if name not in {"long", "list"}}
    said |= {"empty": '""', "nothing": "[]", "picture": '[{"type": "image"}]', "long": f'"{"x" * (256 * 1024 + 1)}"'}
    said |= {"number": "7", "null": "null"}
    return {
        "message": said,
        "session_id": text(rng) | {"number": "7"},
        "user_id": {"fine": '"root"'},
        "colour": text(rng),
    }


def posted(rng: random.Random, path: str) -> Request:
    """A request that would be fine but for one field."""
    base: dict[str, Any] = {"message": "x"}
    fields = chat_fields(rng)
    if path == "/api/jobs":
        base, fields = {"job_type": "probe", "input": {"payload": "x"}}, jobs_fields(rng)
    name = rng.choice(list(fields))
    kind, value = rng.choice(list(fields[name].items()))
    outer, _, inner = name.partition(".")
    changed = {**base, outer: {**base[outer], inner: _MARK} if inner else _MARK}
    content = json.dumps(changed).replace(f'"{_MARK}"', value)
    whole = kind in {"deep", "many digits"}
    return Request(f"{kind} as {name}", WHOLE if whole else outer, path, content=content.encode())


def _bodies(rng: random.Random) -> Iterator[Request]:
    path = rng.choice(["/api/jobs", "/api/chat"])
    junk = rng.randbytes(rng.randrange(1, 2_000))
    for kind, content in {
        "nothing": b"",
        "a brace": b"{",
        "a list": b"[]",
        "junk": b"\xff" + junk,
        "not UTF-8": b'{"message": "\xff", "job_type": "\xc0\x80"}',
        "half of UTF-16": b"\xff\xfe{\x00",
        "many lists": b"[" * rng.randrange(10_000, 900_000),
        "NaN": b"NaN",
    }.items():
        yield Request(kind, WHOLE, path, content=content)
    yield Request("gzip", WHOLE, path, content=b"\x1f\x8b\x08" + junk, headers={b"Content-Encoding": b"gzip"})
    for chunked in (False, True):
        yield Request("10 MB", "", path, content=b"x" * 10_000_000, chunked=chunked)
    long_keys = '{"' + "k" * 999 + '": '
    yield Request("below long keys", "k", path, content=f"{long_keys * 60}[{'0,' * 400_000}NaN]{'}' * 60}".encode())
    fine = b'{"job_type": "probe", "message": "x"}'
    for key in (b"", b'"open', b"\xff\xfe", b"k" * 201, "\N{PILE OF POO}".encode(), b"a\tb"):
        yield Request("key", "Idempotency-Key", path, content=fine, headers={b"Idempotency-Key": key})


def _queries(rng: random.Random) -> Iterator[Request]:
    strange = rng.choice(["%00", "%ED%A0%80%00", "x" * 201, "%00%FF"])
    for name in ("queue", "job_type", "user_id", "lane"):
        yield Request("query", name, f"/api/jobs?{name}={strange}", "GET")
    for name, value in (
        ("limit", "0"),
        ("limit", "1e400"),
        ("limit", "9" * 5_000),
        ("before_id", str(2**63)),
        ("state", "%00"),
    ):
        yield Request("query", name, f"/api/jobs?{name}={value}", "GET")
    for name in ("since", "until"):
        yield Request(
            "query", name, f"/api/jobs?{name}={rng.choice(['now', '10000-01-01T00:00Z', '2030-01-01T00:00'])}", "GET"
        )
    yield Request("query", "colour", "/api/jobs?colour=1", "GET")
    for job_id in ("0", "-1", "x", "9" * 5_000, "%00", "1.5"):
        yield Request("path", "job_id", f"/api/jobs/{job_id}", "GET")
    yield Request("path", "session_id", f"/api/chat/{strange}/messages", "GET")


def request(rng: random.Random) -> Request:
    """One that must be refused: most are posted, the others are bad as a whole."""
    door = rng.random()
    if door < 0.04:
        return rng.choice(list(_bodies(rng)))
    if door < 0.12:
        return rng.choice(list(_queries(rng)))
    return posted(rng, "/api/jobs" if door < 0.7 else "/api/chat")


def created(rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A create in a program: kind, the field that its refusal must name, and the arguments."""
    name_of_none = ["x\0y", "\ud800", "y\udfff", "x" * rng.randrange(201, 20_000), "", 7, b"x"]
    nested: Any = "x"
    for _ in range(rng.choice([65, 100, 10_000])):
        nested = [nested] if rng.random() < 0.5 else {"a": nested}
    payloads = [
        "x\0y",
        "\ud800",
        {"a\0": 1},
        {"k" * 1_001: 1},
        float("nan"),
        [float("-inf")],
        10**5000,
        b"\xff",
        object(),
        nested,
    ]
    payloads.append("é" * 140_000)
    fields: dict[str, list[Any]] = {
        **dict.fromkeys(("queue", "user_id", "project_id", "unique_key", "idempotency_key"), name_of_none),
        "priority": [-1, 5, 10**5000, True, 1.0, 2.5, float("nan"), "x", []],
        "task_id": [2**63, -(2**63) - 1, 10**5000, float("nan"), 1.5, "x", True],
        "scheduled_for": [datetime(2030, 1, 1), timedelta.max, timedelta.min, *_MOMENTS],  # noqa: DTZ001 - having no zone is the point
        "unique_while": ["for ever", "unstarted", 7],
        "debounce_at_most": [timedelta(1), timedelta(0), 5, "1m"],
        "input": [
            *({"payload": payload} for payload in payloads),
            [],
            "x",
            None,
            {"n": "x"},
            {"n": float("nan")},
            {"colour": 1},
        ],
        "job_type": ["no such type", "", "x\0y", "\ud800"],
    }
    name = rng.choice(list(fields))
    value = rng.choice(fields[name])
    return f"{type(value).__name__} as {name}", name, {"job_type": "probe", "input": {}, name: value}
