"""docs/settings.md is the list of settings: it names each one, with its default, and no other."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from jobs_core.settings import RoomSettings
from tests.support.settings_page import documented

CHECKOUT = Path(__file__).resolve().parents[2]
ROOMS = ("jobs_core", "workers", "schedules", "sessions", "assistant", "handlers", "gateways", "cli")


def settings_classes() -> list[type[RoomSettings]]:
    for room in ROOMS:
        for file in (CHECKOUT / room).rglob("settings.py"):
            importlib.import_module(".".join(file.relative_to(CHECKOUT).with_suffix("").parts))
    return [found for found in RoomSettings.__subclasses__() if found.__module__.split(".")[0] in ROOMS]


def variables() -> Iterator[tuple[str, FieldInfo]]:
    for settings in settings_classes():
        for name, field in settings.model_fields.items():
            yield str(field.validation_alias or f"JOBS_{name.upper()}"), field


def shown(default: object) -> str:
    if default in {None, ""}:
        return "–"
    if isinstance(default, Path):
        default = default.relative_to(CHECKOUT)
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{default}`"


def test_every_setting_of_every_room_was_found() -> None:
    """The other tests would hold for an empty list too."""
    assert {"JOBS_SLOTS", "DATABASE_URL", "ANTHROPIC_API_KEY", "JOBS_DATA"} <= {name for name, _ in variables()}


def test_two_rooms_never_read_one_variable() -> None:
    names = [name for name, _ in variables()]
    assert len(names) == len(set(names))


def test_the_page_lists_exactly_the_settings_of_the_code() -> None:
    assert set(documented()) == {name for name, _ in variables()}


@pytest.mark.parametrize(
    ("name", "field"), list(variables()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_page_gives_each_its_default(name: str, field: FieldInfo) -> None:
    assert documented()[name] == shown(field.default)
