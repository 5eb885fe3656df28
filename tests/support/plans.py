"""What Postgres would do for our statements: their plans with stale and with fresh statistics, new and prepared."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, LiteralString

from jobs_core import Connection, fetch, statement

Arguments = Mapping[str, str | None]
Plans = dict[tuple[str, str, str], dict[str, Any]]
"""By statistics ("stale", "fresh"), how often it was run ("new", "prepared"), and the statement's name."""


async def explain_all(
    conn: Connection,
    statements: Mapping[str, Arguments],
    *,
    fill: Iterable[str],
    tables: str,
    room: LiteralString = "jobs_core",
) -> Plans:
    """The plan of each statement once the tables are filled; fresh statistics are taken of `tables`."""
    found: Plans = {}
    for sql in fill:
        await conn.execute(sql)
    for statistics in ("stale", "fresh"):
        if statistics == "fresh":
            await conn.execute(f"ANALYZE {tables}")
        for name, arguments in statements.items():
            first, *_, tenth = await explain(conn, statement(room, name), arguments)
            found[statistics, "new", name], found[statistics, "prepared", name] = first, tenth
    return found


async def explain(conn: Connection, sql: str, arguments: Arguments) -> list[dict[str, Any]]:
    """The plans of a prepared statement with these arguments at its first ten runs; from the sixth on they may be generic."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)[sb]", sql)))
    for number, name in enumerate(names, 1):
        sql = re.sub(rf"%\({name}\)[sb]", f"${number}", sql)
    literals = ["NULL" if (value := arguments[name]) is None else f"'{value}'" for name in names]
    given = f"({', '.join(literals)})" if literals else ""
    await conn.execute(f"PREPARE explained AS {sql}")
    execute = f"EXPLAIN (FORMAT JSON) EXECUTE explained{given}"
    rows = [row for _ in range(10) for row in await fetch(conn, execute)]
    await conn.execute("DEALLOCATE explained")
    return [row["QUERY PLAN"][0]["Plan"] for row in rows]


def index_conditions(plan: dict[str, Any]) -> Iterator[str]:
    """What indexes are asked for, all through the plan."""
    if "Index Cond" in plan:
        yield plan["Index Cond"]
    for child in plan.get("Plans", []):
        yield from index_conditions(child)
