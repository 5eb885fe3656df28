"""`python -m tests.drills NAME [options]`, which is what `./jobs drill` runs."""

import sys
from importlib import import_module
from pathlib import Path

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if "def main(arguments" in path.read_text(encoding="utf-8")
)


def main() -> int:
    """Find the drill and run it; 0: the promises held."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(f"jobs: which drill? one of: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    return int(import_module(f"tests.drills.{sys.argv[1]}").main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
