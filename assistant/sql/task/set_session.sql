-- Takes id, session_id, was (each null: none). Gives the task another Claude session; touches no row where it has not the one that
-- it was. Its version stays: nothing that people write has changed.
-- Why it is right when two race: the second waits, and then sees the first one's session.
UPDATE {schema}.tasks SET session_id = %(session_id)s, updated_at = clock_timestamp()
WHERE id = %(id)s AND session_id IS NOT DISTINCT FROM %(was)s::uuid
