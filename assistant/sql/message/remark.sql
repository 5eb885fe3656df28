-- Takes session_id, content. Adds a system line that ends no turn. Returns id.
INSERT INTO {schema}.chat_message_history (session_id, type, content) VALUES (%(session_id)s, 'system', %(content)s) RETURNING id
