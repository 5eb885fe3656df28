"""What a stand-in leaves to be guarded: for as long as it lives, each writes lines (nanoseconds since 1970) into a file.

What no test can be sure to kill ends by itself: else one that escaped keeps a core busy for good.
"""

import os
import subprocess
import sys
from pathlib import Path

TICKER = 'while :; do date +%s%N >> "$0"; sleep 0.05; done'

DAEMON = f"""
import os, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.execvp("sh", ["sh", "-c", {TICKER!r}, sys.argv[1]])
"""

# Never the same process for longer than 2 ms, each in a session and a group of its own, for a minute.
CHAIN = """
import os, sys, time
end = time.monotonic() + 60
if os.fork(): os._exit(0)
while time.monotonic() < end:
    if os.fork(): os._exit(0)
    os.setsid()
    with open(sys.argv[1], "a") as file: print(time.time_ns(), file=file)
    time.sleep(0.002)
"""

# Three generations; whoever ends is replaced by its parent at once.
FAMILY = """
import os, sys, time
def keep(generations):
    while generations:
        child = os.fork()
        if not child: keep(generations - 1)
        os.waitpid(child, 0)
    while True:
        with open(sys.argv[1], "a") as file: print(time.time_ns(), file=file)
        time.sleep(0.01)
keep(3)
"""

_KINDS = {
    "ticker": ["sh", "-c", TICKER],
    "daemon": [sys.executable, "-S", "-c", DAEMON],
    "chain": [sys.executable, "-S", "-c", CHAIN],
    "family": [sys.executable, "-S", "-c", FAMILY],
}


def start_child(kind: str, file: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start one, which writes into `file`; of `daemon` and `chain` the returned process ends at once."""
    return subprocess.Popen([*_KINDS[kind], str(file)], env={**os.environ, **(environment or {})})


def last_line_ns(file: Path) -> int:
    """When it last wrote, in nanoseconds since 1970; 0 if never."""
    lines = file.read_text().split() if file.exists() else []
    return int(lines[-1]) if lines else 0
