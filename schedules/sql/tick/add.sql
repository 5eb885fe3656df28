-- Takes schedule_ids, slots, due_ats, job_ids, outcomes, errors (arrays, side by side). Adds ticks. Raises a unique violation, and the
-- caller's jobs are rolled back with it, where one is there already: the lock of its schedule was not held.
INSERT INTO {schema}.schedule_ticks (schedule_id, slot, due_at, job_id, outcome, error)
SELECT * FROM unnest(%(schedule_ids)s::bigint[], %(slots)s::text[], %(due_ats)s::timestamptz[], %(job_ids)s::bigint[],
                     %(outcomes)s::text[], %(errors)s::text[])
