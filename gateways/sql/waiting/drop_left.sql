-- Takes session_id, before_id. Drops what waits in the chat and came before that message: the jobs of a chat are one lane, and theirs
-- ended without a word, cancelled perhaps.
DELETE FROM {schema}.telegram_waiting WHERE session_id = %(session_id)s AND id < %(before_id)s
