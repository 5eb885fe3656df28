-- Takes id, version, and all columns that may change. Returns the task, at the next version; no row: it is not that version.
-- Why it is right when two race: the values were made from what stood there under its lock (lock), and for a caller without a
-- transaction, who lost that lock, the version tells.
UPDATE {schema}.tasks SET
    title = %(title)s, status = %(status)s, kind = %(kind)s, context = %(context)s, result = %(result)s, assignee = %(assignee)s,
    deadline = %(deadline)s, schedule_at = %(schedule_at)s, schedule_repeat = %(schedule_repeat)s, next_step = %(next_step)s,
    project_id = %(project_id)s, version = version + 1, updated_at = clock_timestamp()
WHERE id = %(id)s AND version = %(version)s
RETURNING id, title, status, kind, context, result, assignee, created_by, deadline, schedule_at, schedule_repeat, next_step, session_id,
       external_task_id, project_id, version, created_at, updated_at
