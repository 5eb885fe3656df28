-- Takes ids, first, last (when the first and the last of them ended). Returns of each that history still holds what a job is made
-- of. Input is JSON text, as it was stored.
-- Locks them in history, in the order of their ids, until the transaction ends: of two that redrive a job at once the second
-- waits here. It stands before redrive/successors, never in one statement with it, whose snapshot would predate the lock.
-- Sent unprepared, as history/newest.
SELECT id, job_type, queue, priority, input::text AS input, user_id, task_id, project_id, lane, unique_key, unique_while
FROM {schema}.history
WHERE id = ANY(%(ids)s::bigint[]) AND ended_at >= %(first)s::timestamptz AND ended_at <= %(last)s::timestamptz
ORDER BY id
FOR UPDATE
