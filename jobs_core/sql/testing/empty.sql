-- For tests. Deletes every row of every table in the schema, but the record of migrations. Sequences go on.
-- One statement for all, so that foreign keys are looked at when all is gone. Deleting, not truncating: with a test's few rows
-- that is some milliseconds, and it waits for no reader.
DO $$
BEGIN
    EXECUTE (
        SELECT 'WITH ' || string_agg(format('d%s AS (DELETE FROM %s)', c.oid, c.oid::regclass), ', ') || ' SELECT'
        FROM pg_class AS c
        WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relname <> 'migrations'
    );
END $$
