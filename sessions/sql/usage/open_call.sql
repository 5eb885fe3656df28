-- Takes session_id, epoch, turn_id, token, model, job_id, user_id, task_id, project_id, agent, guessed_price, and open_call: a JSON
-- object of the call's id and the most it can use. Returns one row where the call may be made, none when another run has taken
-- the session since.
-- Locks the session FOR SHARE for the statement: a take in flight is waited for, and then nothing is written. Two calls of one
-- run wait for each other at the row they share, for the length of a commit.
WITH held AS (
    SELECT FROM {schema}.sessions WHERE id = %(session_id)s AND epoch = %(epoch)s FOR SHARE
)
INSERT INTO {schema}.usage AS u
    (turn_id, token, model, session_id, job_id, user_id, task_id, project_id, agent, guessed_price, calls, open_calls)
SELECT %(turn_id)s, %(token)s, %(model)s, %(session_id)s, %(job_id)s, %(user_id)s, %(task_id)s, %(project_id)s, %(agent)s,
       %(guessed_price)s, 1, %(open_call)s::jsonb
FROM held
ON CONFLICT (turn_id, token, model) DO UPDATE
SET calls = u.calls + 1, open_calls = u.open_calls || excluded.open_calls, changed_at = clock_timestamp()
RETURNING u.calls
