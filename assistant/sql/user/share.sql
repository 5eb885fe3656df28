-- Takes id. Holds a person as they are until the caller's transaction ends, beside others who do: whoever gives them a way by which they are told,
-- or makes somebody else of them (user/hold, user/merge), waits, and sees what was written meanwhile; or it is done first, and seen here.
SELECT id FROM {schema}.users WHERE id = %(id)s FOR SHARE
