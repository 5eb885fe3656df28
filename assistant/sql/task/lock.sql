-- Takes id, of_user (null: anybody's). Returns the task as find does, and locks it.
-- Why it is right when two race: the second waits and then sees what the first wrote, another assignee, too: who was replaced
-- meanwhile finds no row.
SELECT id, title, status, kind, context, result, assignee, created_by, deadline, schedule_at, schedule_repeat, next_step, session_id,
       external_task_id, project_id, version, created_at, updated_at
FROM {schema}.tasks
WHERE id = %(id)s AND (%(of_user)s::text IS NULL OR assignee = %(of_user)s OR created_by = %(of_user)s)
FOR UPDATE
