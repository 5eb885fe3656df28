-- Returns seq, the last place that is taken (0: none is), all_placed. Locks nothing.
SELECT coalesce(max(seq), 0) AS seq, NOT EXISTS (SELECT FROM {schema}.notifications WHERE seq IS NULL) AS all_placed
FROM {schema}.notifications WHERE seq IS NOT NULL
