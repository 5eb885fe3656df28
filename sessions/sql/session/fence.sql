-- Takes id, epoch. Returns one row while that epoch is the session's, none when another run has taken it since.
-- Locks the session FOR SHARE until the caller's transaction ends: a take, which updates the row, waits for it. A plain look or
-- FOR KEY SHARE would let it commit in between.
SELECT FROM {schema}.sessions WHERE id = %(id)s AND epoch = %(epoch)s FOR SHARE
