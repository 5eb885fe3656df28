-- Takes idle_s. Returns turn_id of turns with open calls to which nothing has happened for so long; of the last 30 days.
SELECT DISTINCT turn_id FROM {schema}.usage
WHERE began_at > clock_timestamp() - interval '30 days' AND open_calls <> '{}'
    AND changed_at < clock_timestamp() - make_interval(secs => %(idle_s)s)
