-- Takes id, into. Gives what is the one user's to the other: chats, what they are told, what they are owed, what they said as a
-- stranger, and the question about them, unless one is open about both. Under user/lock.
-- Reads all of these: for a person's orders, not for runs.
WITH chats AS (
    UPDATE {schema}.chat_sessions SET user_id = %(into)s WHERE user_id = %(id)s
), told AS (
    UPDATE {schema}.notifications SET user_id = %(into)s WHERE user_id = %(id)s
), held AS (
    UPDATE {schema}.held_messages SET user_id = %(into)s WHERE user_id = %(id)s
), requests AS (
    UPDATE {schema}.contact_requests SET user_id = %(into)s
    WHERE user_id = %(id)s
      AND NOT EXISTS (SELECT FROM {schema}.contact_requests WHERE user_id = %(into)s AND state = 'open')
)
UPDATE {schema}.deliveries SET user_id = %(into)s WHERE user_id = %(id)s
