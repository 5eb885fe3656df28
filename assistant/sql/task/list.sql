-- Takes of_user, assignee, status, kind, project_id (null: any), overdue, include_done, before_id (null: from the newest), limit.
-- Returns tasks, the newest first; of_user: those assigned to that user or made by them. Locks nothing. Sent unprepared, so that
-- it is planned for what is asked.
SELECT id, title, status, kind, context, result, assignee, created_by, deadline, schedule_at, schedule_repeat, next_step, session_id,
       external_task_id, project_id, version, created_at, updated_at
FROM {schema}.tasks
WHERE (%(of_user)s::text IS NULL OR assignee = %(of_user)s OR created_by = %(of_user)s)
  AND (%(assignee)s::text IS NULL OR assignee = %(assignee)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(project_id)s::text IS NULL OR project_id = %(project_id)s)
  AND (NOT %(overdue)s OR deadline < clock_timestamp())
  AND (%(include_done)s OR status NOT IN ('done', 'cancelled'))
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
