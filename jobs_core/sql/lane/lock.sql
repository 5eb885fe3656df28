-- Takes lanes. Locks their rows, sorted, until the transaction ends.
-- It stands before every statement that looks at a lane's jobs, never inside one: a statement's snapshot is taken before the
-- locks it waits for, so a look folded in would miss what the lock's last holder did, and strand the lane.
SELECT lane FROM {schema}.lanes WHERE lane = ANY(%(lanes)s::text[]) ORDER BY lane FOR UPDATE
