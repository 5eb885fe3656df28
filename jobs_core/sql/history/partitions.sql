-- Takes tables (those that are partitioned by day). Returns table and day of each of their partitions but the default ones.
-- Locks nothing.
SELECT parent.relname AS table, to_date(right(child.relname, 8), 'YYYYMMDD') AS day
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS parent ON parent.oid = i.inhparent
JOIN pg_catalog.pg_class AS child ON child.oid = i.inhrelid
WHERE parent.relnamespace = '{schema}'::regnamespace AND parent.relname = ANY(%(tables)s::text[])
  AND child.relname ~ '_[0-9]{8}$'
