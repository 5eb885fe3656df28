-- Takes turn_id. Returns id, content, file_bytes of the human messages bound to it that have not ended, in the order in which they
-- came.
SELECT id, content, file_bytes FROM {schema}.chat_message_history
WHERE turn_id = %(turn_id)s AND type = 'human' AND ended_at IS NULL
ORDER BY id
