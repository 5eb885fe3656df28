-- Takes session_id, epoch, turn_id, token, model, job_id, user_id, task_id, project_id, agent, guessed_price, call_id, and what the
-- call is estimated by while it is open: input_tokens, max_tokens, and input_usd, output_usd for a token. Returns one row where the call
-- may be made, none when another run has taken the session since.
-- Locks the session FOR SHARE for the statement: a take in flight is waited for, and then nothing is written. Two calls of one
-- run wait for each other at the row they share, for the length of a commit.
WITH held AS (
    SELECT FROM {schema}.sessions WHERE id = %(session_id)s AND epoch = %(epoch)s FOR SHARE
)
INSERT INTO {schema}.usage AS u
    (turn_id, token, model, session_id, job_id, user_id, task_id, project_id, agent, guessed_price, calls, open_calls)
SELECT %(turn_id)s, %(token)s, %(model)s, %(session_id)s, %(job_id)s, %(user_id)s, %(task_id)s, %(project_id)s, %(agent)s,
       %(guessed_price)s, 1, jsonb_build_object(%(call_id)s::text, jsonb_build_object(
           'began_at', clock_timestamp(), 'input_tokens', %(input_tokens)s::bigint, 'max_tokens', %(max_tokens)s::bigint,
           'input_usd', %(input_usd)s::numeric, 'output_usd', %(output_usd)s::numeric))
FROM held
ON CONFLICT (turn_id, token, model) DO UPDATE
SET calls = u.calls + 1, open_calls = u.open_calls || excluded.open_calls, changed_at = clock_timestamp()
RETURNING u.calls
