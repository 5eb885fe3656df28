-- Takes name, url, events (JSON), enabled of a callback, whose row the caller has locked. What is on begins anew: nothing is held
-- against it.
UPDATE {schema}.callbacks
SET url = %(url)s, events = %(events)s::jsonb, enabled = %(enabled)s, changed_at = clock_timestamp(),
    off_why = CASE WHEN NOT %(enabled)s THEN off_why END, failing_since = CASE WHEN NOT %(enabled)s THEN failing_since END
WHERE name = %(name)s
