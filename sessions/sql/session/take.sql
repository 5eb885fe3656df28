-- Takes id. Returns the session's new epoch, or no row: there is no such session.
-- Locks the session's row: of two that take it at once the second waits and gets the higher epoch, and a holder that appends
-- (FOR SHARE) is waited for. Whoever held it before can append nothing from the commit on.
UPDATE {schema}.sessions SET epoch = epoch + 1, taken_at = clock_timestamp()
WHERE id = %(id)s
RETURNING epoch
