-- Returns the owner who came first, or no row.
SELECT id, name, username, role, tg_user_id, created_at, seen_at, admission FROM {schema}.users
WHERE role = 'owner' AND merged_into IS NULL
ORDER BY created_at, id
LIMIT 1
