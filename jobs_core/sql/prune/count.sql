-- Takes partition (its name filled in), job_type, state (null: any of them), before. Returns rows (how many of its jobs are meant),
-- bytes (of all of it, indexes too), known (how many jobs it held by its statistics, -1: there are none). Locks nothing.
SELECT (
           SELECT count(*) FROM {partition}
           WHERE ended_at < %(before)s::timestamptz
             AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
             AND (%(state)s::text IS NULL OR state = %(state)s)
       ) AS rows,
       pg_catalog.pg_total_relation_size(oid) AS bytes, reltuples::bigint AS known
FROM pg_catalog.pg_class WHERE oid = '{partition}'::regclass
