-- Takes tg_user_id. Returns that user, or no row.
SELECT id, name, username, role, tg_user_id, created_at, seen_at, admission FROM {schema}.users WHERE tg_user_id = %(tg_user_id)s
