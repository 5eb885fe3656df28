-- Takes job_type, queue, priority, input, user_id, task_id, project_id. Inserts one job that is ready at once.
-- Returns id. Locks nothing. What has a lane, a key, a limit or a time goes through job/create.
INSERT INTO {schema}.jobs (job_type, queue, priority, state, input, user_id, task_id, project_id, ready_seq)
VALUES (%(job_type)s, %(queue)s, %(priority)s, 'pending', %(input)s, %(user_id)s, %(task_id)s, %(project_id)s,
        nextval('{schema}.ready_seq'))
RETURNING id
