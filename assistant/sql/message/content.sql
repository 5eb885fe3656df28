-- Takes id. Returns content of one line of a chat; no row: there is none.
SELECT content FROM {schema}.chat_message_history WHERE id = %(id)s
