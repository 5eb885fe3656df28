-- Takes user_id, since. Returns one row: what turns for this user used in runs that began since then, open calls estimated.
SELECT coalesce(sum(calls), 0) AS calls, coalesce(sum(estimated_calls + open_calls), 0)::bigint AS estimated_calls,
       coalesce(sum(input_tokens), 0)::bigint AS input_tokens, coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
       coalesce(sum(cache_read_tokens), 0)::bigint AS cache_read_tokens,
       coalesce(sum(cache_write_tokens), 0)::bigint AS cache_write_tokens,
       coalesce(sum(tool_calls), 0) AS tool_calls, coalesce(sum(duration_s), 0) AS duration_s,
       coalesce(sum(cost_usd), 0) AS cost_usd
FROM {schema}.usage_counted
WHERE began_at >= %(since)s AND user_id = %(user_id)s
