-- For tests. Takes `jobs.passed` (set for the transaction: an interval as text): lets that much time pass, by moving each time of
-- each row that far back. Touches the ordinary tables of the schema. Not history, whose rows lie in the partition of their day;
-- nor a column that is part of a unique index, where a time is a name.
-- Tables that refuse changes have their triggers off meanwhile. Locks every row there is: nothing else may be under way in a test's database that holds one for long.
DO $$
DECLARE
    passed constant interval := current_setting('jobs.passed');
    moved record;
    guarded constant regclass[] := ARRAY(
        SELECT DISTINCT t.tgrelid::regclass FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = '{schema}'::regnamespace AND NOT t.tgisinternal
    );
    one regclass;
BEGIN
    FOREACH one IN ARRAY guarded LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', one);
    END LOOP;
    FOR moved IN
        SELECT c.oid::regclass AS moved_table, string_agg(format('%1$I = %1$I - $1', a.attname), ', ') AS changes
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
          AND a.atttypid = 'timestamptz'::regtype
          AND NOT EXISTS (
              SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY(i.indkey)
          )
        GROUP BY c.oid
    LOOP
        EXECUTE format('UPDATE %s SET %s', moved.moved_table, moved.changes) USING passed;
    END LOOP;
    FOREACH one IN ARRAY guarded LOOP
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', one);
    END LOOP;
    UPDATE {schema}.steps SET output = jsonb_set(output, '{until}', to_jsonb((output ->> 'until')::timestamptz - passed))
    WHERE state = 'waiting' AND output ->> 'until' IS NOT NULL;
END $$
