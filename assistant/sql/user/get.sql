-- Takes id. Returns the user of this id, or whom they were merged into; no row: there is no such user.
SELECT id, name, username, role, tg_user_id, created_at, seen_at, admission FROM {schema}.users
WHERE id = (SELECT coalesce(merged_into, id) FROM {schema}.users WHERE id = %(id)s)
