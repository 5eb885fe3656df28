-- Takes name, most_s. Notes that a try did not arrive. Returns whether none has for longer than most_s, by this database's clock; no
-- row where it is off. Locks the row.
UPDATE {schema}.callbacks SET failing_since = coalesce(failing_since, clock_timestamp())
WHERE name = %(name)s AND enabled
RETURNING clock_timestamp() - failing_since > make_interval(secs => %(most_s)s) AS too_long
