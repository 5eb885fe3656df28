-- Makes those who change who is who take turns, until the caller's transaction ends: first contacts, links, roles. It works
-- through any pooler. People who are known pass without it.
SELECT pg_advisory_xact_lock(hashtextextended('{schema}.users', 0))
