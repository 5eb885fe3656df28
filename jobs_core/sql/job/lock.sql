-- Takes id. Returns one row where the job lives. Locks it until the transaction ends, in a statement of its own: what is looked
-- up after is as the lock's last holder left it. A parent is locked so before its child ends, and before it waits.
SELECT FROM {schema}.jobs WHERE id = %(id)s FOR UPDATE
