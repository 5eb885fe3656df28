"""`python -m tests.drills NAME [options]`, which is what `./jobs drill` runs."""

import logging
import sys
from importlib import import_module
from pathlib import Path

from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings

NAMES = sorted(
    path.stem.replace("_", "-")
    for path in Path(__file__).parent.glob("*.py")
    if "def main(arguments" in path.read_text(encoding="utf-8")
)


def main() -> int:
    """Find the drill and run it; 0: the promises held."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(f"jobs: which drill? one of: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # the faults are the drill's own
    set_up_logs(CoreSettings.read(log_level="error"))
    return int(import_module(f"tests.drills.{sys.argv[1].replace('-', '_')}").main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
