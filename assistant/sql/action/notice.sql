-- Takes id. Notes that the chat was told of this action; touches no row where it was before, or where it was decided.
UPDATE {schema}.pending_actions SET noticed_at = clock_timestamp() WHERE id = %(id)s AND state = 'pending' AND noticed_at IS NULL
