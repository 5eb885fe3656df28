"""docker-compose.yml, as docker compose itself reads it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli.settings import CHECKOUT

TOOLS = Path(sys.executable).parent
GIVEN = {"POSTGRES_PASSWORD": "of-a-test", "JOBS_TOKEN": "a-token-for-tests-only"}
"""What it wants to be given."""


class Refused(Exception):
    """It wants something that was not given; the text says what."""


def services(**environ: str) -> dict[str, Any]:
    """The services by name, their variables filled in. Raises Refused."""
    command = [str(TOOLS / "docker-compose"), "-f", str(CHECKOUT / "docker-compose.yml"), "config", "--format", "json"]
    ran = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True, check=False
    )
    if not ran.stdout.startswith("{"):  # the tool ends with 0 whatever it found
        raise Refused(ran.stdout + ran.stderr)
    found: dict[str, Any] = json.loads(ran.stdout)["services"]
    return found


def ours(found: dict[str, Any]) -> dict[str, Any]:
    """Those that run this program."""
    return {name: one for name, one in found.items() if one["image"].startswith("jobs-")}
