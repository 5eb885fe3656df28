-- Takes schedule_ids, which the caller has locked, and batch. Returns schedule_id, slot, job_id, made_at of ticks whose jobs have not been
-- seen to have ended, by schedule, the oldest jobs first, at most a batch of each. Locks nothing.
SELECT t.schedule_id, t.slot, t.job_id, t.made_at
FROM unnest(%(schedule_ids)s::bigint[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.schedule_ticks
    WHERE schedule_id = s.id AND outcome IS NULL
    ORDER BY job_id
    LIMIT %(batch)s
) AS t
