-- Takes lock_ms: what this transaction waits for a lock from now on; then it fails.
SELECT set_config('lock_timeout', %(lock_ms)s::text, true)
