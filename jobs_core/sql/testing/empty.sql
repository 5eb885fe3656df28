-- For tests. Deletes every row of every table in the schema, but the record of migrations. Sequences go on.
-- One statement for all, so that foreign keys are looked at when all is gone. Deleting, not truncating: with a test's few rows
-- that is some milliseconds, and it waits for no reader, but of tables that refuse it, whose triggers are off meanwhile.
DO $$
DECLARE
    guarded constant regclass[] := ARRAY(
        SELECT DISTINCT t.tgrelid::regclass FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = '{schema}'::regnamespace AND NOT t.tgisinternal
    );
    one regclass;
BEGIN
    FOREACH one IN ARRAY guarded LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', one);
    END LOOP;
    EXECUTE (
        SELECT 'WITH ' || string_agg(format('d%s AS (DELETE FROM %s)', c.oid, c.oid::regclass), ', ') || ' SELECT'
        FROM pg_class AS c
        WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relname <> 'migrations'
    );
    FOREACH one IN ARRAY guarded LOOP
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', one);
    END LOOP;
END $$
