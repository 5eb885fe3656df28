-- Takes names (null: any), besides, holder, lease_s. Takes active accounts, not those named `besides`, that nobody holds, or whose holder's lease ran out, and gives them a lease
-- that runs from now. Returns what is needed to connect as each.
-- Locks them FOR UPDATE, so that a transaction of the last holder's that takes a message in (account/fence) is waited for: what it
-- commits is seen by the next holder, and after that it commits nothing. An account that is held is not locked at all.
-- Why it is right when two race: the second waits, and finds the first one's lease.
WITH free AS MATERIALIZED (
    SELECT name FROM {schema}.telegram_accounts
    WHERE state = 'active' AND lease_until < clock_timestamp() AND (%(names)s::text[] IS NULL OR name = ANY(%(names)s)) AND name <> ALL(%(besides)s)
    FOR UPDATE
)
UPDATE {schema}.telegram_accounts AS a
SET holder = %(holder)s, lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
FROM free
WHERE a.name = free.name
RETURNING a.name, a.kind, a.prefix, a.tg_user_id, a.username, a.api_id, a.api_hash, a.dc_id, a.server_address, a.port, a.auth_key, a.login
