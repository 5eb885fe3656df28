"""How tests and the demo run a simulator and drive it.

with simulator.running() as sim:
    await sim.script("[[hold before]] [[text hello]]", match="hi")
    …                                                  # start something that asks sim.url
    await sim.wait_for_request("hi", holding="before")  # now it stands there
    await sim.release("before")
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from simulator.errors import ControlError
from simulator.records import Outcome, RecordedRequest

_END_S: Final = 5.0
_FIRST_ERROR: Final = 400
_MARGIN_S: Final = 10.0  # how much longer the client waits than the server it asked to wait


class SimulatorControl:
    """The control endpoints of one running simulator; every call raises ControlError when it is refused.

    It holds no connection, so that one object serves tests on different event loops.
    """

    def __init__(self, url: str, control_token: str) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {control_token}"}

    async def script(self, script: str, *, match: str = "", times: int | None = None) -> None:
        """Answer requests that say `match` as `script` tells.

        With `times`, its responses go out one a request, in order, that many times; without, the round decides until
        `reset`. The directives are in the room's README.
        """
        await self._call("POST", "/control/script", json={"script": script, "match": match, "times": times})

    async def requests(
        self, match: str = "", *, after: int = 0, holding: str | None = None, outcome: Outcome | None = None
    ) -> list[RecordedRequest]:
        """Return the recorded requests, oldest first: those whose prompt or last message says `match`."""
        found = await self._call("GET", "/control/requests", params=_params(match, after, holding, outcome))
        return [RecordedRequest.model_validate(request) for request in found["requests"]]

    async def wait_for_request(
        self,
        match: str = "",
        *,
        after: int = 0,
        holding: str | None = None,
        outcome: Outcome | None = None,
        timeout_s: float = 30.0,
    ) -> RecordedRequest:
        """Return the first such request as soon as there is one; raises ControlError after `timeout_s`.

        `after` leaves out requests up to that number; `holding` wants it to stand at that hold, `outcome` to have ended
        so.
        """
        params = _params(match, after, holding, outcome) | {"timeout_s": str(timeout_s)}
        found = await self._call("GET", "/control/requests/wait", params=params, timeout_s=timeout_s + _MARGIN_S)
        return RecordedRequest.model_validate(found)

    async def release(self, name: str = "default") -> None:
        """Let pass what stands at the hold `name` or comes to it until `reset`."""
        await self._call("POST", "/control/release", json={"name": name})

    async def reset(self) -> None:
        """Forget scripts and recording, let go of what is held, close the holds again."""
        await self._call("DELETE", "/control/script")
        await self._call("DELETE", "/control/requests")

    async def _call(
        self, method: str, path: str, *, json: Any = None, params: dict[str, str] | None = None, timeout_s: float = 30.0
    ) -> Any:
        # trust_env off: a proxy from the environment must not stand between a test and its own machine.
        async with httpx.AsyncClient(base_url=self.url, headers=self._headers, trust_env=False) as client:
            try:
                response = await client.request(method, path, json=json, params=params, timeout=timeout_s)
            except httpx.HTTPError as error:
                raise ControlError(f"the simulator at {self.url} did not answer {method} {path}: {error!r}") from error
        if response.status_code >= _FIRST_ERROR:
            raise ControlError(f"{method} {path}: {response.json()['error']['message']}")
        return response.json() if response.content else None


@contextlib.contextmanager
def running(*, api_key: str | None = None) -> Iterator[SimulatorControl]:
    """Run a simulator in a process of its own, on a port that the system picks, until the block ends.

    It ends with its parent, however that dies. Raises ControlError when it does not come up; why is on stderr.
    """
    control_token = secrets.token_urlsafe(16)
    secrets_of_it = {"SIMULATOR_CONTROL_TOKEN": control_token, "SIMULATOR_API_KEY": api_key or ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", "0", "--exit-with-stdin"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, **secrets_of_it},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise ControlError(f"the simulator ended with code {process.wait()} before it served")
        yield SimulatorControl(json.loads(line)["url"], control_token)
    finally:
        process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _params(match: str, after: int, holding: str | None, outcome: Outcome | None) -> dict[str, str]:
    params = {"match": match, "after": str(after), "holding": holding, "outcome": outcome}
    return {name: value for name, value in params.items() if value is not None}
