-- Takes schedule_id, limit. Returns its ticks, the newest first. Locks nothing.
SELECT slot, due_at, made_at, job_id, outcome, error FROM {schema}.schedule_ticks
WHERE schedule_id = %(schedule_id)s
ORDER BY made_at DESC, due_at DESC, slot DESC
LIMIT %(limit)s
