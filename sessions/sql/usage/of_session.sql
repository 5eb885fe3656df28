-- Takes session_id. Returns turn_id, model and sums of the session's usage, by turn and model, oldest turn first.
SELECT turn_id, model, sum(calls) AS calls, sum(estimated_calls + open_calls)::bigint AS estimated_calls,
       sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
       sum(cache_read_tokens)::bigint AS cache_read_tokens, sum(cache_write_tokens)::bigint AS cache_write_tokens
FROM {schema}.usage_counted
WHERE session_id = %(session_id)s
GROUP BY turn_id, model
ORDER BY min(began_at), model
