"""What this process has counted: one registry for all tests of it, so that they look at what is more than before."""

from collections.abc import Callable

from prometheus_client import REGISTRY

from tests.support.worker import until


def counted(name: str, **labels: str) -> float:
    """What a sample says; 0 where it is not there."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def more(name: str, **labels: str) -> Callable[[], float]:
    """How much more it says than now."""
    before = counted(name, **labels)
    return lambda: counted(name, **labels) - before


async def seen(holds: Callable[[], bool]) -> None:
    """Wait for what this process counts. Raises TimeoutError."""

    async def it_holds() -> bool:
        return holds()

    await until(it_holds)
