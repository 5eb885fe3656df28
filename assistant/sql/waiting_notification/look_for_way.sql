-- Takes person (empty: the owner, where nobody is that yet). Waits for whoever makes a way to them just now, and has those who make one wait until the
-- caller's transaction ends: what it has wait is seen by them (waiting_notification/hold_way). Those who tell them something do not wait for each other.
SELECT pg_advisory_xact_lock_shared(hashtextextended('{schema}.way:' || %(person)s, 0))
