-- Takes id. Locks a person, who was not merged, until the caller's transaction ends: of two that decide about them, or take in what
-- they say, the second looks when the first is done.
SELECT id FROM {schema}.users WHERE id = %(id)s FOR NO KEY UPDATE
