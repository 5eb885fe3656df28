-- Takes session_id, active. Opens or closes a chat; touches no row where it is so already. Locks the chat.
UPDATE {schema}.chat_sessions SET is_active = %(active)s WHERE session_id = %(session_id)s AND is_active <> %(active)s
