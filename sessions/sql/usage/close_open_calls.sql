-- Takes turn_id. Closes the turn's open calls, each at the most it can have used, and marks them estimated.
-- Locks the turn's rows. All that is added comes from the row itself, so that of two that close at once the second finds
-- nothing to add.
UPDATE {schema}.usage SET
    estimated_calls = estimated_calls + (SELECT count(*) FROM jsonb_object_keys(open_calls)),
    input_tokens = input_tokens + (SELECT sum((value ->> 'input')::bigint) FROM jsonb_each(open_calls)),
    output_tokens = output_tokens + (SELECT sum((value ->> 'output')::bigint) FROM jsonb_each(open_calls)),
    cost_usd = cost_usd + (SELECT sum((value ->> 'usd')::numeric) FROM jsonb_each(open_calls)),
    open_calls = '{}',
    changed_at = clock_timestamp()
WHERE turn_id = %(turn_id)s AND open_calls <> '{}'
