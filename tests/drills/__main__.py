"""`python -m tests.drills NAME [options]`, which is what `./jobs drill` runs."""

import logging
import sys
from importlib import import_module
from pathlib import Path

from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings


def drills() -> dict[str, str]:
    """The drills by name, with the first line of what each says of itself."""
    sources = {path.stem: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("[!_]*.py")}
    return {
        stem.replace("_", "-"): source.partition("\n")[0].strip('"')
        for stem, source in sorted(sources.items())
        if "\ndef main(arguments" in source
    }


def main() -> int:
    """Find the drill and run it; 0: the promises held."""
    known = drills()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in {"-h", "--help"}:
        _list(known)
        return 0
    if name not in known:
        print(f"jobs: there is no drill {name!r}; one of: {', '.join(known)}", file=sys.stderr)
        return 2
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # the faults are the drill's own
    set_up_logs(CoreSettings.read(log_level="error"))
    return int(import_module(f"tests.drills.{name.replace('-', '_')}").main(sys.argv[2:]))


def _list(known: dict[str, str]) -> None:
    print("Usage: ./jobs drill NAME [OPTIONS]; ./jobs drill NAME --help tells a drill's own\n")
    print("Example: ./jobs drill kill --short\n")
    print("Injects faults under load and checks what happened; prints figures and exits 0 only if the promises held.\n")
    for name, shows in known.items():
        print(f"  {name:10} {shows}")


if __name__ == "__main__":
    sys.exit(main())
