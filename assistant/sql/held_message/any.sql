-- Takes user_id. Returns a row where something of theirs waits for an owner's word. Locks nothing.
SELECT FROM {schema}.held_messages WHERE user_id = %(user_id)s AND NOT released LIMIT 1
