"""A check-up of a database, as `./jobs doctor` makes it."""

from pathlib import Path

from cli.doctor.check import Finding
from cli.doctor.checks import CHECKS
from cli.doctor.checkup import check_up, mend
from cli.doctor.place import Bounds, Place
from cli.settings import CliSettings


class Doctor:
    """Looks at the database that the environment names. `said` is what mending has told."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.said = list[str]()

    def place(self, **bounds: float) -> Place:
        """With other bounds, perhaps: what a test lets go wrong has not been so for long."""
        return Place(CliSettings.read(data=self._data), Bounds(**bounds))  # type: ignore[arg-type]  # a count is an int

    async def look(self, name: str, **bounds: float) -> Finding:
        """What one check finds."""
        return next(
            finding
            for check, finding in (await check_up(self.place(**bounds), CHECKS, [name])).items()
            if check.name == name
        )

    async def state(self, name: str, **bounds: float) -> str:
        """How it judges."""
        return (await self.look(name, **bounds)).state

    async def fix(self, name: str, *, word: bool = False, **bounds: float) -> Finding:
        """What it finds after mending. word: what a person answers who is asked."""
        place = self.place(**bounds)
        found = await check_up(place, CHECKS, [name])
        (finding,) = (await mend(place, found, lambda mend: word or not mend.asks, self.said.append)).values()
        return finding
