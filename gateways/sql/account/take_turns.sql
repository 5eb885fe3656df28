-- Takes nothing. Lets one process at a time decide which account is the first, until the caller's transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('{schema}.telegram_accounts', 0))
