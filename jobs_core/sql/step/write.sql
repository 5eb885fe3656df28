-- Takes job_id, name, state, output (JSON text or null), token. The caller's transaction is fenced.
INSERT INTO {schema}.steps (job_id, name, state, output, token)
VALUES (%(job_id)s, %(name)s, %(state)s, %(output)s::jsonb, %(token)s)
ON CONFLICT (job_id, name) DO UPDATE
SET state = excluded.state, output = excluded.output, token = excluded.token, at = clock_timestamp(), seq = excluded.seq
