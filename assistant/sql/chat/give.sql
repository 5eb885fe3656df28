-- Takes user_id, into. Gives all chats of the one user to the other. Reads all chats: for a person's orders, not for runs.
UPDATE {schema}.chat_sessions SET user_id = %(into)s WHERE user_id = %(user_id)s
