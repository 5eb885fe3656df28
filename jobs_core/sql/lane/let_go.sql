-- Takes lane. Ends its hold; lane/promote follows, in a statement of its own. Returns held_at, held_by, held_reason, held_job as they
-- were, or no row: it is not held.
-- Locks its row until the transaction ends. It stands before the statement that looks at the lane's jobs, as lane/lock does: what the
-- lock's last holder created or ended is seen there. Of two that release it at once the second finds it free.
WITH hold AS MATERIALIZED (
    SELECT lane, held_at, held_by, held_reason, held_job FROM {schema}.lanes
    WHERE lane = %(lane)s AND held_at IS NOT NULL
    FOR UPDATE
)
UPDATE {schema}.lanes AS l
SET head_pos = NULL, held_at = NULL, held_by = NULL, held_reason = NULL, held_job = NULL
FROM hold WHERE l.lane = hold.lane
RETURNING hold.held_at, hold.held_by, hold.held_reason, hold.held_job
