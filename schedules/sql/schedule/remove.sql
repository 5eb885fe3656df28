-- Takes name, id: one of them. Deletes the schedule with its ticks; their jobs stay. Returns its id. Waits for an evaluator that has it.
DELETE FROM {schema}.schedules WHERE name = %(name)s OR id = %(id)s
RETURNING id
