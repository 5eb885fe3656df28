-- Takes name, id: one of them; why. Pauses the schedule, or says another reason why it is paused. Returns its id. Waits for an evaluator
-- that has it.
UPDATE {schema}.schedules SET paused_at = coalesce(paused_at, now()), paused_why = %(why)s, next_at = NULL
WHERE name = %(name)s OR id = %(id)s
RETURNING id
