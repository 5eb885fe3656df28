-- Takes user_id (null: the owner). Returns user_id, whom that is by now (of somebody unknown: as it was given; null: there is no owner
-- yet), is_owner (they are who is meant where nobody is named), now. Locks nothing.
WITH the_owner AS (
    SELECT coalesce(
        (SELECT user_id FROM {schema}.user_channels WHERE channel = 'web' AND address = 'token'),
        (SELECT id FROM {schema}.users WHERE role = 'owner' AND merged_into IS NULL ORDER BY created_at, id LIMIT 1)
    ) AS id
), given AS (
    SELECT coalesce((SELECT coalesce(merged_into, id) FROM {schema}.users WHERE id = %(user_id)s::text), %(user_id)s::text) AS id
)
SELECT coalesce(given.id, the_owner.id) AS user_id, given.id IS NULL OR given.id IS NOT DISTINCT FROM the_owner.id AS is_owner,
    clock_timestamp() AS now
FROM given, the_owner
