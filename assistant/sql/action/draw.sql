-- Takes expires_s. Returns id, for an action that is about to be written, and when it expires.
SELECT nextval('{schema}.pending_action_ids') AS id, clock_timestamp() + make_interval(secs => %(expires_s)s) AS expires_at
