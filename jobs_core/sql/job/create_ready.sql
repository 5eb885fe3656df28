-- Takes arrays of equal length, one element a job, in the order wanted: job_type, queue, priority, input, user_id, task_id,
-- project_id. Inserts jobs that are ready at once, in that order. Returns id of each, in that order. Locks nothing.
-- What has a lane, a key, a limit or a time goes through job/create. Texts are sent in binary: as text, psycopg escapes every quote.
INSERT INTO {schema}.jobs (job_type, queue, priority, state, input, user_id, task_id, project_id, ready_seq)
SELECT job_type, queue, priority, 'pending', input::jsonb, user_id, task_id, project_id, nextval('{schema}.ready_seq')
FROM unnest(%(job_type)b::text[], %(queue)b::text[], %(priority)s::smallint[], %(input)b::text[], %(user_id)b::text[],
            %(task_id)s::bigint[], %(project_id)b::text[])
     AS u (job_type, queue, priority, input, user_id, task_id, project_id)
RETURNING id
