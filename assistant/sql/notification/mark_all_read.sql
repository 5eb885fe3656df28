-- Takes user_id, is_owner, up_to_id (null: all that have a place), category (null: any). Marks a person's notifications that stand no later than
-- that one. Returns marked: how many it was, known: whether that one is theirs. Locks what it marks.
WITH last AS (
    SELECT seq FROM {schema}.notifications
    WHERE id = %(up_to_id)s AND (user_id = %(user_id)s OR (%(is_owner)s AND user_id IS NULL))
), marked AS (
    UPDATE {schema}.notifications SET read = true
    WHERE NOT read AND (user_id = %(user_id)s OR (%(is_owner)s AND user_id IS NULL))
      AND seq <= CASE WHEN %(up_to_id)s::bigint IS NULL THEN 9223372036854775807 ELSE (SELECT seq FROM last) END
      AND (%(category)s::text IS NULL OR category = %(category)s)
    RETURNING id
)
SELECT (SELECT count(*) FROM marked) AS marked, EXISTS (SELECT FROM last) AS known
