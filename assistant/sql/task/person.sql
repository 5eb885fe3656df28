-- Takes id. Returns id: the user's, or that of whom they were merged into; no row: there is no such user. Locks the row of the user
-- FOR SHARE, so that they are not merged before the caller's transaction ends.
SELECT coalesce(merged_into, id) AS id FROM {schema}.users WHERE id = %(id)s FOR SHARE
