-- Takes keep_s, batch. Deletes rows of runs that have said nothing for so long, `batch` at most; touches a row for each. Locks those
-- rows; ones that another has locked are left to it.
-- A run that still speaks keeps all its rows: who comes late puts together what it shows from the first one on.
DELETE FROM {schema}.live_events WHERE ctid = ANY(ARRAY(
    SELECT l.ctid FROM {schema}.live_events AS l
    WHERE l.said_at < now() - make_interval(secs => %(keep_s)s)
      AND (
          SELECT newest.said_at FROM {schema}.live_events AS newest
          WHERE newest.topic = l.topic AND newest.token = l.token
          ORDER BY newest.seq DESC LIMIT 1
      ) < now() - make_interval(secs => %(keep_s)s)
    ORDER BY l.said_at LIMIT %(batch)s
    FOR UPDATE OF l SKIP LOCKED
))
