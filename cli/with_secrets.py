"""How a command shows what has secrets: everything but these, of which it says since when they are good, and until when."""

import json
from typing import Any

from cli.printing import line, print_json, print_plain


def print_with_secrets(values: dict[str, Any], *, as_json: bool) -> None:
    """Print it; secrets: the times of each, as the rooms' own `Secret` has them."""
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        if name != "secrets":
            print_plain(
                f"{name:<15} {json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else line(value)}"
            )
    for secret in values["secrets"]:
        until = f" until {line(secret['valid_until'])}" if secret["valid_until"] else ""
        print_plain(f"{'secret':<15} since {line(secret['created_at'])}{until}")
