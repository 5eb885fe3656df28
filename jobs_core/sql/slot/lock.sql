-- Takes keys, whose rows in limits the caller has locked. Locks all their slots, in order, until the transaction ends.
-- It stands before slot/fit and limit/remove, never inside them: what a claim took, or a settle freed, while this waited is
-- seen then.
SELECT FROM {schema}.limit_slots WHERE key = ANY(%(keys)s::text[]) ORDER BY key, n FOR UPDATE
