-- Takes topics. Returns topic and the highest token of each that has rows. Locks nothing.
SELECT asked.topic, (
    SELECT token FROM {schema}.live_events AS l WHERE l.topic = asked.topic ORDER BY token DESC LIMIT 1
) AS token
FROM unnest(%(topics)s::text[]) AS asked (topic)
