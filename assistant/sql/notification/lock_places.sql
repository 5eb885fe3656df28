-- Makes those who give places take turns, until the caller's transaction ends. It works through any pooler.
SELECT pg_advisory_xact_lock(hashtextextended('{schema}.notifications', 0))
