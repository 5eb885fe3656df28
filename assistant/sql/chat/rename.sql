-- Takes session_id, title (null: none). Names a chat; touches no row where there is none.
UPDATE {schema}.chat_sessions SET title = %(title)s WHERE session_id = %(session_id)s
