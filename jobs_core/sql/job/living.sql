-- Takes ids. Returns the ids of those that have not ended. Locks nothing.
SELECT id FROM {schema}.jobs WHERE id = ANY(%(ids)s::bigint[])
