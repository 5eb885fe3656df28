-- Takes session_id, epoch, call_id, failed. Records that the tool has ended; touches no row where another run has taken the
-- session since the call, or where it was not called. Locks the session FOR SHARE, as session/fence does.
WITH held AS MATERIALIZED (
    SELECT FROM {schema}.sessions WHERE id = %(session_id)s AND epoch = %(epoch)s FOR SHARE
)
UPDATE {schema}.tool_calls SET ended_at = clock_timestamp(), failed = %(failed)s
WHERE session_id = %(session_id)s AND call_id = %(call_id)s AND EXISTS (SELECT FROM held)
