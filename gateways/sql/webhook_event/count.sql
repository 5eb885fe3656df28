-- Takes sources, counts: arrays of equal length, no source twice, sorted. Counts events of this minute, by Postgres' clock.
-- Returns source, n: how many it is in this minute, these among them, and left_s: of the minute. In a transaction of its own:
-- until its end the others that count for the same source wait. Nothing of it is logged, so that its commit waits for no disk.
-- Who waited into the next minute finds that one counted, and counts in it. A later one is of a clock that was set back since.
INSERT INTO {schema}.webhook_counts AS c (source, minute, n)
SELECT source, date_trunc('minute', clock_timestamp()), n FROM unnest(%(sources)s::text[], %(counts)s::integer[]) AS g (source, n)
ON CONFLICT (source) DO UPDATE
SET minute = CASE WHEN c.minute = excluded.minute + interval '1 minute' THEN c.minute ELSE excluded.minute END,
    n = CASE WHEN c.minute IN (excluded.minute, excluded.minute + interval '1 minute') THEN least(c.n, 1000000000) ELSE 0 END
        + excluded.n
RETURNING source, n,
          greatest(1, ceil(extract(epoch FROM c.minute + interval '1 minute' - clock_timestamp())))::integer AS left_s
