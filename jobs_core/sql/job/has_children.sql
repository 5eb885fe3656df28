-- Takes id. Returns children: whether a child of that job lives. Locks nothing; the caller has locked the parent (job/lock).
SELECT EXISTS (SELECT FROM {schema}.jobs WHERE parent_id = %(id)s) AS children
