-- Takes turn_id. Closes the turn's open calls, as they are estimated, and marks them so.
-- Locks the turn's rows. All that is added comes from the row itself, so that of two that close at once the second finds
-- nothing to add.
UPDATE {schema}.usage SET
    estimated_calls = estimated_calls + ({schema}.of_open_calls(open_calls)).calls,
    input_tokens = input_tokens + ({schema}.of_open_calls(open_calls)).input_tokens,
    output_tokens = output_tokens + ({schema}.of_open_calls(open_calls)).output_tokens,
    cost_usd = cost_usd + ({schema}.of_open_calls(open_calls)).cost_usd,
    open_calls = '{}',
    changed_at = clock_timestamp()
WHERE turn_id = %(turn_id)s AND open_calls <> '{}'
