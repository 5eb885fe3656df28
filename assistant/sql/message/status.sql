-- Takes session_id. Returns one row: unbound, how many messages of the chat no turn has taken up; bound, how many one has and not answered;
-- oldest_s, how many seconds ago the oldest of both came (null: there is none).
SELECT count(*) FILTER (WHERE turn_id IS NULL) AS unbound, count(*) FILTER (WHERE turn_id IS NOT NULL) AS bound,
       extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS oldest_s
FROM {schema}.chat_message_history WHERE session_id = %(session_id)s AND type = 'human' AND ended_at IS NULL
