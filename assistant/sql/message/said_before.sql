-- Takes session_id, idempotency_key. Returns id, content, job_id of the message that has the key.
SELECT id, content, job_id FROM {schema}.chat_message_history
WHERE session_id = %(session_id)s AND idempotency_key = %(idempotency_key)s
