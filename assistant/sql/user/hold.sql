-- Takes id. Locks a person until the caller's transaction ends: of two that decide about them, take in what they say, or make somebody
-- else of them (user/merge), the second looks when the first is done.
SELECT id FROM {schema}.users WHERE id = %(id)s FOR NO KEY UPDATE
