-- Takes id, role. Gives a person, who was not merged into another, this role. Returns them. Under user/lock.
UPDATE {schema}.users SET role = %(role)s WHERE id = %(id)s AND merged_into IS NULL
RETURNING id, name, username, role, tg_user_id, created_at, seen_at, admission
