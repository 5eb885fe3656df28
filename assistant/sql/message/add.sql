-- Takes session_id, type (human, ai, system), content, turn_id (null for a human's: no turn has bound it yet).
-- Returns id. A second end (ai, system) of the same turn violates chat_message_history_end, whoever writes it.
INSERT INTO {schema}.chat_message_history (session_id, type, content, turn_id)
VALUES (%(session_id)s, %(type)s, %(content)s, %(turn_id)s)
RETURNING id
