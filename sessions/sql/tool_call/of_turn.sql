-- Takes turn_id. Returns call_id, tool, arguments, ended (whether its tool came to an end), failed of the calls that the turn's own
-- agent made, its subagents' left out, the oldest first.
SELECT call_id, tool, arguments, ended_at IS NOT NULL AS ended, failed FROM {schema}.tool_calls
WHERE turn_id = %(turn_id)s AND NOT subagent
ORDER BY called_at
