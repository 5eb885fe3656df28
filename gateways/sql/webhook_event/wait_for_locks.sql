-- Takes ms. Until this transaction ends: wait so long for a lock and no longer.
SELECT set_config('lock_timeout', %(ms)s, true)
