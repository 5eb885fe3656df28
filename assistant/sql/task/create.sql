-- Takes the columns of a new task. Returns the task; no row: one with this external_task_id is there.
-- Why it is right when two race: the second waits for the first one's commit, and then meets its task.
INSERT INTO {schema}.tasks (title, status, kind, context, result, assignee, created_by, deadline, schedule_at, schedule_repeat,
                            next_step, external_task_id, project_id)
VALUES (%(title)s, %(status)s, %(kind)s, %(context)s, %(result)s, %(assignee)s, %(created_by)s, %(deadline)s, %(schedule_at)s,
        %(schedule_repeat)s, %(next_step)s, %(external_task_id)s, %(project_id)s)
ON CONFLICT (external_task_id) DO NOTHING
RETURNING id, title, status, kind, context, result, assignee, created_by, deadline, schedule_at, schedule_repeat, next_step, session_id,
       external_task_id, project_id, version, created_at, updated_at
