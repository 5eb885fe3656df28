-- Takes id; anybodys, or user_id and is_owner. Touches no row where there is no such notification of theirs; one that was read before stays so.
UPDATE {schema}.notifications SET read = true
WHERE id = %(id)s AND (%(anybodys)s OR user_id = %(user_id)s OR (%(is_owner)s AND user_id IS NULL))
