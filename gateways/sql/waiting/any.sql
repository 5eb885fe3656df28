-- Takes session_id. Returns a row where something of that chat waits. Locks nothing.
-- Why it is right when two race: a chat's messages come in by one process, one after another. What is taken in meanwhile, or will be,
-- was said before: a message that waits behind it, and one that does not because it is in the chat already, both keep the order.
SELECT FROM {schema}.telegram_waiting WHERE session_id = %(session_id)s LIMIT 1
