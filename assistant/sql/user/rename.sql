-- Takes id, name. Calls a person, who was not merged into another, so. Returns them. Locks their row.
UPDATE {schema}.users SET name = %(name)s WHERE id = %(id)s AND merged_into IS NULL
RETURNING id, name, username, role, tg_user_id, created_at, seen_at, admission
