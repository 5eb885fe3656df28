-- Takes person (empty: the owner, where nobody is that yet). Until the caller's transaction ends nobody has anything wait for a way to them without
-- seeing the one that this transaction makes: they wait here (waiting_notification/look_for_way), or came first, and are seen after this. It works
-- through any pooler.
SELECT pg_advisory_xact_lock(hashtextextended('{schema}.way:' || %(person)s, 0))
