-- Takes by (one of project, user, agent, session, job, task, day, model), since (null: from the start), until (null: to now),
-- user_id (null: of everybody), limit.
-- Returns name (null: of none), turns, sessions and the sums of all columns; dearest first, days newest first.
SELECT CASE %(by)s WHEN 'project' THEN project_id WHEN 'user' THEN user_id WHEN 'agent' THEN agent
                   WHEN 'session' THEN session_id::text WHEN 'job' THEN job_id::text WHEN 'task' THEN task_id::text
                   WHEN 'day' THEN to_char(began_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') WHEN 'model' THEN model END AS name,
       count(DISTINCT session_id) AS sessions, count(DISTINCT turn_id) AS turns,
       sum(calls) AS calls, sum(estimated_calls + open_calls)::bigint AS estimated_calls,
       sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
       sum(cache_read_tokens)::bigint AS cache_read_tokens, sum(cache_write_tokens)::bigint AS cache_write_tokens,
       sum(tool_calls) AS tool_calls, sum(duration_s) AS duration_s, sum(cost_usd) AS cost_usd,
       bool_or(guessed_price) AS guessed_price
FROM {schema}.usage_counted
WHERE (%(since)s::timestamptz IS NULL OR began_at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR began_at < %(until)s)
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
GROUP BY 1
ORDER BY CASE WHEN %(by)s = 'day' THEN to_char(min(began_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD') END DESC, sum(cost_usd) DESC, 1
LIMIT %(limit)s
