-- Takes user_id, is_owner, most. Returns unread: how many a person has not read, `most` at most. Locks nothing.
SELECT count(*) AS unread FROM (
    SELECT FROM {schema}.notifications
    WHERE NOT read AND (user_id = %(user_id)s OR (%(is_owner)s AND user_id IS NULL))
    LIMIT %(most)s
) AS unread
