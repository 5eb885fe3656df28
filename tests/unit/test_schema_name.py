"""Which names a schema may have: it stands in SQL, and with `_wake` behind it names a channel."""

from collections.abc import Iterator

import pytest

from jobs_core import ConfigurationError, statement
from jobs_core.statements import schema, use_schema


@pytest.fixture(autouse=True)
def schema_of_the_other_tests() -> Iterator[None]:
    before = schema()
    yield
    use_schema(before)


@pytest.mark.parametrize(
    "name", ["", "s" * 59, "pg_x", "1st", "Jobs", "größe", "a b", 'a"b', "a;b", "a\n", "a{schema}"], ids=repr
)
def test_what_is_no_plain_name_is_refused_in_one_line_and_changes_nothing(name: str) -> None:
    before = schema()
    with pytest.raises(ConfigurationError, match=r"^JOBS_SCHEMA=.* is not a schema name: use ") as refused:
        use_schema(name)
    assert "\n" not in str(refused.value)
    assert schema() == before


@pytest.mark.parametrize("name", ["order", "user", "_", "s" * 58])
def test_any_plain_name_will_do_though_it_means_something_in_sql(name: str) -> None:
    use_schema(name)
    assert f'FROM "{name}".jobs' in statement("jobs_core", "job/fence")
