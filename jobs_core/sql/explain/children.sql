-- Takes id. Returns left: how many children of that job live.
SELECT count(*) AS left FROM {schema}.jobs WHERE parent_id = %(id)s
