-- Takes id, into. Gives what is the one user's to the other: chats, what they are told, what they are owed. Under user/lock.
-- Reads all of these: for a person's orders, not for runs.
WITH chats AS (
    UPDATE {schema}.chat_sessions SET user_id = %(into)s WHERE user_id = %(id)s
), told AS (
    UPDATE {schema}.notifications SET user_id = %(into)s WHERE user_id = %(id)s
)
UPDATE {schema}.deliveries SET user_id = %(into)s WHERE user_id = %(id)s
