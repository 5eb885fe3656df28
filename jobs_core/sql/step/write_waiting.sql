-- Takes job_id, name, token. Records for how long the job waits, in the transaction in which it begins to: job/wait came before.
-- One that need not wait, its time being over, is recorded with that time: now.
INSERT INTO {schema}.steps (job_id, name, state, output, token)
SELECT id, %(name)s, 'waiting',
       jsonb_build_object('until', CASE WHEN state = 'pending' THEN clock_timestamp() ELSE wait_until END), %(token)s
FROM {schema}.jobs WHERE id = %(job_id)s
ON CONFLICT (job_id, name) DO UPDATE
SET state = excluded.state, output = excluded.output, token = excluded.token, at = clock_timestamp(), seq = excluded.seq
