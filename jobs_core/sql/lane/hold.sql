-- Takes lane, held_by, reason. Holds the lane, whether or not a job has ever stood in it; one that is held gets this reason, and
-- stays held since when it was. lane/send_back follows, in the same transaction.
-- Locks its row until the transaction ends: whoever creates in it, joins it or ends its head waits.
INSERT INTO {schema}.lanes AS l (lane, head_pos, held_at, held_by, held_reason)
VALUES (%(lane)s, 0, clock_timestamp(), %(held_by)s, %(reason)s)
ON CONFLICT (lane) DO UPDATE
SET head_pos = 0, held_at = coalesce(l.held_at, excluded.held_at), held_by = excluded.held_by, held_reason = excluded.held_reason
