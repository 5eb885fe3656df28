-- Takes ids of jobs that the caller has locked, in a statement before this one (job/meet).
-- Returns id, input (JSON text), lane, user_id, task_id, project_id of those that were never claimed. Locks nothing.
-- Right when two merge into one job: the second waits in job/meet, and this snapshot, taken after, has what the first has written.
SELECT id, input::text AS input, lane, user_id, task_id, project_id
FROM {schema}.jobs WHERE id = ANY(%(ids)s::bigint[]) AND token IS NULL
