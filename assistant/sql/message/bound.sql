-- Takes turn_id. Returns id, content of the human messages bound to it, in the order in which they came.
SELECT id, content FROM {schema}.chat_message_history
WHERE turn_id = %(turn_id)s AND type = 'human'
ORDER BY id
