-- Takes user_id, is_owner, without_way. Returns waits: whether anything of theirs waits, or only what waits for a way. Locks nothing.
SELECT EXISTS (
    SELECT FROM {schema}.waiting_notifications
    WHERE (user_id = %(user_id)s OR (%(is_owner)s AND user_id IS NULL)) AND NOT (%(without_way)s AND due_at IS NOT NULL)
) AS waits
