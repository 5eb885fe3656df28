-- Takes keys. Returns key, slots of those that are there, as they are under the lock. Locks their rows, in order;
-- slot/lock follows.
SELECT key, slots FROM {schema}.limits WHERE key = ANY(%(keys)s::text[]) ORDER BY key FOR UPDATE
