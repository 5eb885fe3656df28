-- Takes id, name, username, role, tg_user_id (or null). Makes a person, whom no channel knows yet. Returns it.
-- Under user/lock.
INSERT INTO {schema}.users (id, name, username, role, tg_user_id)
VALUES (%(id)s, %(name)s, %(username)s, %(role)s, %(tg_user_id)s)
RETURNING id, name, username, role, tg_user_id, created_at, seen_at, admission
