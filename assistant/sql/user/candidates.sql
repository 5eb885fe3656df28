-- Takes text, lower (the same in lower case), recent. Returns users whom a search for the text may mean, with addresses, a
-- list: those whose id or an address it is, `recent` of those whose name or username contains it, and as many who were seen last.
WITH meant AS (
    SELECT id FROM {schema}.users WHERE id = %(text)s
    UNION
    SELECT user_id FROM {schema}.user_channels WHERE address = %(text)s
    UNION
    (SELECT id FROM {schema}.users
     WHERE merged_into IS NULL
       AND (strpos(lower(name), %(lower)s) > 0 OR strpos(lower(username), %(lower)s) > 0)
     ORDER BY seen_at DESC
     LIMIT %(recent)s)
    UNION
    (SELECT id FROM {schema}.users WHERE merged_into IS NULL ORDER BY seen_at DESC LIMIT %(recent)s)
)
SELECT u.id, u.name, u.username, u.role, u.tg_user_id, u.created_at, u.seen_at, u.admission,
       ARRAY(SELECT c.address FROM {schema}.user_channels AS c WHERE c.user_id = u.id) AS addresses
FROM {schema}.users AS u
WHERE u.id IN (SELECT id FROM meant) AND u.merged_into IS NULL
