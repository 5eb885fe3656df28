-- Takes session_id. Returns turn_id of each turn of the chat that has bound messages and not ended, the oldest first.
SELECT turn_id FROM {schema}.chat_message_history
WHERE session_id = %(session_id)s AND type = 'human' AND ended_at IS NULL AND turn_id IS NOT NULL
GROUP BY turn_id
ORDER BY min(id)
