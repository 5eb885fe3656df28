-- Takes limit, before (an id, or null: from the newest), role, admission (or null: all). Returns users, the newest first.
SELECT id, name, username, role, tg_user_id, created_at, seen_at, admission FROM {schema}.users
WHERE merged_into IS NULL
  AND (%(role)s::text IS NULL OR role = %(role)s)
  AND (%(admission)s::text IS NULL OR admission = %(admission)s)
  AND (%(before)s::text IS NULL
       OR (created_at, id) < (SELECT created_at, id FROM {schema}.users WHERE id = %(before)s))
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s
