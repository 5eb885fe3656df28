-- Takes nothing. Returns now: when the caller's transaction began.
SELECT now() AS now
