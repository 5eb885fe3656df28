-- Takes lock_ms, statement_ms: what this transaction may wait for a lock, and what a statement of it may take. Then makes
-- processes that keep house at once take turns, until the transaction ends, so it works through any pooler.
-- A lock that is waited for is as good as held to all who come after: without the bound, settles would stand behind a reader.
SELECT set_config('lock_timeout', %(lock_ms)s::text, true), set_config('statement_timeout', %(statement_ms)s::text, true),
       pg_advisory_xact_lock(hashtextextended('{schema}.history', 0))
