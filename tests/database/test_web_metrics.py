"""/metrics whatever the database does: answered in time, asked seldom, and nothing old that looks new."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client.core import Metric

from gateways.web import metrics
from gateways.web.metrics import Stands
from jobs_core import Connection, Database, Jobs, execute, fetch
from jobs_core.counted import VARIABLE
from jobs_core.gauges import Value
from tests.support.web import calling, door

STANDS = """
INSERT INTO jobs.budget_caps (scope, key, period, cap_usd, by_hand, set_by)
VALUES ('day', '*', 'day', 10, true, 'ada'), ('user', '*', 'day', 2, true, 'ada');
INSERT INTO jobs.budget_accounts (scope, key, period, starts_on, spent_usd, reserved_usd)
VALUES ('day', '*', 'day', jobs.budget_start('day'), 4, 1), ('day', '*', 'day', '2020-01-01', 9, 0),
       ('user', 'ada', 'day', jobs.budget_start('day'), 1, 0.5), ('user', 'bob', 'day', jobs.budget_start('day'), 2, 0);
INSERT INTO jobs.budget_holds (turn_id, token, account_id, job_id, usd)
SELECT gen_random_uuid(), 1, id, 1, 0.5 FROM jobs.budget_accounts WHERE key = 'ada';
INSERT INTO jobs.schedules (name, job_type, input, zone, every_s, anchor, jitter_s, missed, missed_max, overlap, source,
                            seen_until, next_at)
VALUES ('a', 'hello', '{}', 'UTC', 60, now(), 0, 'skip', 1, 'skip', 'api', now(), now() - interval '90 s'),
       ('b', 'hello', '{}', 'UTC', 60, now(), 0, 'skip', 1, 'skip', 'api', now(), now() + interval '1 day'),
       ('c', 'tell', '{}', 'UTC', 60, now(), 0, 'skip', 1, 'skip', 'api', now(), now() + interval '1 day'),
       ('d', 'none', '{}', 'UTC', 60, now(), 0, 'skip', 1, 'skip', 'api', now(), NULL);
INSERT INTO jobs.provider (state, reason, since, until) VALUES ('paused', 'x', now() - interval '90 s', now());
INSERT INTO jobs.deliveries (owed_for, channel, kind, payload, random_id, state, created_at)
VALUES ('a', 'telegram', 'answer', '{}', 1, 'owed', now() - interval '1 hour'), ('b', NULL, 'answer', '{}', 1, 'sent', now()),
       ('c', 'telegram', 'answer', '{}', 1, 'owed', now());
INSERT INTO jobs.telegram_accounts (name, kind, prefix, tg_user_id, api_id, api_hash, dc_id, server_address, port, state,
                                    holder, lease_until)
VALUES ('held', 'bot', 'a', 1, 1, 'x', 1, 'x', 1, 'active', 'here:7:abc', now() + interval '1 day'),
       ('free', 'bot', 'b', 2, 1, 'x', 1, 'x', 1, 'active', 'there:7:abc', now() - interval '1 s'),
       ('gone', 'bot', 'c', 3, 1, 'x', 1, 'x', 1, 'revoked', NULL, now());
"""
SECRETS = """
INSERT INTO jobs.users (id, name, role) VALUES ('canary', 'canary', 'external');
INSERT INTO jobs.limits (key, slots, by_hand) VALUES ('canary', 1, true);
INSERT INTO jobs.limit_slots (key, n, job_id) VALUES ('canary', 1, 1);
INSERT INTO jobs.lanes (lane, head_pos, held_at, held_by) VALUES ('canary', 0, now(), 'canary');
INSERT INTO jobs.pauses (queue, because, set_by, reason) VALUES ('q', 'operator', 'canary', 'canary');
INSERT INTO jobs.budget_accounts (scope, key, period, starts_on)
VALUES ('agent', 'canary', 'day', jobs.budget_start('day')), ('user', 'canary', 'day', jobs.budget_start('day'));
INSERT INTO jobs.telegram_accounts (name, kind, prefix, tg_user_id, api_id, api_hash, dc_id, server_address, port,
                                    token, username)
VALUES ('bot', 'bot', 'canary', 1, 1, 'canary', 1, 'canary', 1, 'canary', 'canary');
"""


def values(families: Sequence[Metric]) -> dict[str, float]:
    return {
        "".join([one.name, *(f",{name}={value}" for name, value in sorted(one.labels.items()))]): one.value
        for family in families
        for one in family.samples
    }


class Looks:
    """A room's look that counts how often it is asked, and does then what it is told to."""

    def __init__(self) -> None:
        self.n = 0
        self.sql = "SELECT 1"

    async def __call__(self, conn: Connection) -> Sequence[Value]:
        self.n += 1
        await fetch(conn, self.sql)  # type: ignore[arg-type]
        return [Value("jobs_workers", (), 7)]


async def test_the_database_is_asked_once_in_five_seconds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Looks()
    stands = Stands(database, {"jobs_core": look})
    for _ in range(3):
        assert values(await stands.metrics())["jobs_workers"] == 7
    assert look.n == 1
    stands._looked_s -= metrics.KEPT_S + 1
    await stands.metrics()
    assert look.n == 2


async def test_what_was_read_is_not_shown_when_it_can_be_read_no_more(database: Database) -> None:
    look = Looks()
    stands = Stands(database, {"jobs_core": look})
    await stands.metrics()
    stands._looked_s -= 100
    stands._good_s -= 100
    look.sql = "SELECT 1 / 0"
    seen = values(await stands.metrics())
    assert (seen["jobs_database_up"], seen["jobs_gauges_read,room=jobs_core"]) == (0, 0)
    assert 100 <= seen["jobs_gauges_age_seconds"] < 200
    assert "jobs_workers" not in seen


async def test_a_room_that_cannot_be_read_hides_no_other(database: Database) -> None:
    broken, whole = Looks(), Looks()
    broken.sql = "SELECT FROM jobs.no_such_table"
    seen = values(await Stands(database, {"sessions": broken, "jobs_core": whole}).metrics())
    assert (seen["jobs_gauges_read,room=sessions"], seen["jobs_gauges_read,room=jobs_core"]) == (0, 1)
    assert (seen["jobs_workers"], seen["jobs_database_up"]) == (7, 1)


async def test_a_look_that_stands_still_holds_no_page_up_and_ends(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page comes without the gauges; the statement's own time ends it."""
    monkeypatch.setattr(metrics, "ANSWERED_S", 0.2)
    look = Looks()
    look.sql = "SELECT pg_sleep(60)"
    stands = Stands(database, {"jobs_core": look})
    began_s = time.monotonic()
    pages = [values(await stands.metrics()) for _ in range(2)]
    assert pages == [{"jobs_database_up": 0}] * 2
    assert look.n == 1
    assert stands._look._looking
    await stands._look._looking
    assert time.monotonic() - began_s < 30
    assert values(await stands.metrics())["jobs_gauges_read,room=jobs_core"] == 0


async def test_a_look_cannot_write(database: Database, conn: Connection) -> None:
    look = Looks()
    look.sql = "DELETE FROM jobs.workers"
    assert values(await Stands(database, {"jobs_core": look}).metrics())["jobs_gauges_read,room=jobs_core"] == 0


async def test_all_rooms_can_be_read_and_say_what_stands(jobs: Jobs, conn: Connection) -> None:
    await execute(conn, STANDS)
    seen = values(await Stands(jobs.database).metrics())
    assert {name: seen[name] for name in seen if name.startswith("jobs_gauges_read")} == {
        f"jobs_gauges_read,room={room}": 1 for room in ("jobs_core", "schedules", "sessions", "assistant", "gateways")
    }
    assert seen["jobs_budget_used_ratio,period=day,scope=day"] == 0.5
    assert seen["jobs_budget_spent_usd,period=day,scope=day"] == 4
    assert seen["jobs_budget_used_ratio,period=day,scope=user"] == 0.75  # ada's: bob runs nothing just now
    assert 90 <= seen["jobs_provider_paused_seconds"] < 200
    assert (seen["jobs_provider_state,state=paused"], seen["jobs_provider_state,state=open"]) == (1, 0)
    assert seen["jobs_deliveries_owed,channel=telegram"] == 2
    assert 3600 <= seen["jobs_deliveries_oldest_owed_seconds,channel=telegram"] < 3700
    held = {name: seen[name] for name in seen if name.startswith("jobs_telegram_account_held")}
    assert held == {
        "jobs_telegram_account_held,account=held,host=here": 1,
        "jobs_telegram_account_held,account=free,host=": 0,
    }
    assert "jobs_approvals_expiry_seconds" not in seen
    assert seen["jobs_schedules,job_type=hello"] == 2
    assert 90 <= seen["jobs_schedule_late_seconds,job_type=hello"] < 200
    assert seen["jobs_schedule_late_seconds,job_type=tell"] == 0


async def test_no_name_of_a_person_and_no_key_is_on_the_page(jobs: Jobs, conn: Connection) -> None:
    await execute(conn, SECRETS)
    async with calling(door(jobs), token=None) as client:
        page = (await client.get("/metrics")).text
    assert 'jobs_paused{because="operator"' in page
    assert "jobs_limits_full 1.0" in page
    assert "canary" not in page


async def test_who_asks_and_goes_away_ends_nobody_elses_page(database: Database) -> None:
    look = Looks()
    stands = Stands(database, {"jobs_core": look})
    asking = [asyncio.create_task(stands.metrics()) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    pages = await asyncio.gather(*asking[1:])
    assert [values(page)["jobs_workers"] for page in pages] == [7] * 4
    assert look.n == 1


async def test_a_folder_of_counts_that_is_gone_takes_nothing_else_along(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    async with calling(door(jobs), token=None) as client:
        response = await client.get("/metrics")
    assert response.status_code == 200
    assert "jobs_workers 0.0" in response.text
