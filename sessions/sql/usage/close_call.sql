-- Takes turn_id, token, model, call_id and what the call used: input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
-- cost_usd, tool_calls, duration_s, estimated_calls. Touches no row where the call is not open (any more): it may be run again
-- after a commit whose outcome is unknown, and what somebody else closed as estimated stays so.
-- Not fenced: what was used was used, whoever holds the session now. Locks the row; another that closes the call waits, and
-- finds it closed.
UPDATE {schema}.usage SET
    open_calls = open_calls - %(call_id)s::text,
    estimated_calls = estimated_calls + %(estimated_calls)s,
    input_tokens = input_tokens + %(input_tokens)s,
    output_tokens = output_tokens + %(output_tokens)s,
    cache_read_tokens = cache_read_tokens + %(cache_read_tokens)s,
    cache_write_tokens = cache_write_tokens + %(cache_write_tokens)s,
    cost_usd = cost_usd + %(cost_usd)s,
    tool_calls = tool_calls + %(tool_calls)s,
    duration_s = duration_s + %(duration_s)s,
    changed_at = clock_timestamp()
WHERE turn_id = %(turn_id)s AND token = %(token)s AND model = %(model)s AND open_calls ? %(call_id)s::text
