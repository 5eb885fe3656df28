"""A local Anthropic Messages API for demos and tests: the real Claude Code CLI works against it, no model is asked.

`running()` starts one as a process and returns the `SimulatorControl` that drives it; `python -m simulator` serves one.
This room imports no other.
"""

from simulator.client import SimulatorControl, running
from simulator.errors import ControlError
from simulator.records import RecordedRequest

__all__ = ["ControlError", "RecordedRequest", "SimulatorControl", "running"]
