"""The gate for JSON values, whoever sent them: a body or a script."""

import json
from typing import Any, Final

MAX_DEPTH: Final = 200  # a tool's schema nests about 20 deep; json itself gives up somewhere below 1,000


def check(value: Any) -> None:
    """Raise ValueError when `value` is nested too deeply or holds what json reads but JSON does not know.

    That is NaN, infinity (1e400 too) and half a surrogate pair, all of which would break only when written again.
    """
    level, depth = [value], 0
    while level := [child for parent in level for child in _children(parent)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
