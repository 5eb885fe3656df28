-- Takes user_id, is_owner, left_over. Returns waits: whether anything of theirs waits, or only what no job will look at: it waits for a way, or
-- is due for ten minutes, because its job came to nothing. Locks nothing.
SELECT EXISTS (
    SELECT FROM {schema}.waiting_notifications
    WHERE (user_id = %(user_id)s OR (%(is_owner)s AND user_id IS NULL))
      AND (NOT %(left_over)s OR due_at IS NULL OR due_at < clock_timestamp() - interval '10 minutes')
) AS waits
