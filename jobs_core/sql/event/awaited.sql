-- Takes events. Returns event of each that a job waits for. Locks nothing.
SELECT DISTINCT wait_event AS event FROM {schema}.jobs WHERE wait_event = ANY(%(events)s)
