-- Takes turn_id, tool. Returns digest, call_id, run_id, told_to, result of what its calls in the turn did, the first one first. The caller
-- holds the turn's lock (lock).
SELECT digest, call_id, run_id, told_to, result FROM {schema}.tool_effects
WHERE turn_id = %(turn_id)s AND tool = %(tool)s
ORDER BY created_at
