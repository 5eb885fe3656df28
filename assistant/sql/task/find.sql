-- Takes id, of_user (null: anybody's). Returns the task; no row: there is none, or it is neither assigned to that user nor made by
-- them. Locks nothing.
SELECT id, title, status, kind, context, result, assignee, created_by, deadline, schedule_at, schedule_repeat, next_step, session_id,
       external_task_id, project_id, version, created_at, updated_at
FROM {schema}.tasks
WHERE id = %(id)s AND (%(of_user)s::text IS NULL OR assignee = %(of_user)s OR created_by = %(of_user)s)
