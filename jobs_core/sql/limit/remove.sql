-- Takes key. Removes it; returns key, or no row. The next job that waits under it makes it anew, as its type says. Slots that are
-- held stay until they are freed, and count then (slot/lock and slot/fit follow). Locks the row.
DELETE FROM {schema}.limits WHERE key = %(key)s RETURNING key
