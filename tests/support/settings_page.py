"""What docs/settings.md says."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


def documented() -> dict[str, str]:
    """The default, as it is written there, of each setting by its name."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(rows) == len({name for name, _, _ in rows}), "a setting stands on the page twice"
    return {name: default for name, default, _ in rows}
