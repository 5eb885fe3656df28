-- Takes within_s. Returns topic of whatever was written in that time. Locks nothing.
-- A row is committed a moment after said_at; of what took longer than within_s nothing is heard here.
SELECT DISTINCT topic FROM {schema}.live_events WHERE said_at > now() - make_interval(secs => %(within_s)s)
