"""`python -m cli`, which is what `./jobs` runs."""

import sys

if sys.argv[1:2] in (["worker-process"], ["alone-process"]):
    # structlog would import it, and pygments with it, for tracebacks that our logs do not show: 5 MB in each worker process.
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python is told that a module is not there

from cli.app import main

if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a line is said when it is, to a pipe as well
    raise SystemExit(main())
