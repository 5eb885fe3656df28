-- Takes name. Takes the turn of those who write the schedule of this name, until the caller's transaction ends: who looks at whose it is and
-- then writes it finds what it saw.
SELECT pg_advisory_xact_lock(hashtextextended('{schema}.schedules ' || %(name)s, 0))
