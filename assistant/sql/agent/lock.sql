-- Takes name. Makes those who write the agent of this name, whether or not it is there, take turns, until the caller's
-- transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('{schema}.agents.' || %(name)s, 0))
