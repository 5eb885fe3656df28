-- Takes session_id, content, file_bytes. Adds a system line that ends no turn, and that brings a file of so many bytes. Returns id.
INSERT INTO {schema}.chat_message_history (session_id, type, content, file_bytes)
VALUES (%(session_id)s, 'system', %(content)s, %(file_bytes)s)
RETURNING id
