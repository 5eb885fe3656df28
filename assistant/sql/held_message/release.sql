-- Takes user_id. Lets go of what their door keeps of them, once; returns id, channel, account, session_id, arrival_id of each. The rows stay until
-- their messages are in their chats (held_message/drop). Of two that race the second finds nothing.
UPDATE {schema}.held_messages SET released = true WHERE user_id = %(user_id)s AND arrival_id IS NOT NULL AND NOT released
RETURNING id, channel, account, session_id, arrival_id
