-- Returns name, lacks of what this role has too few rights on: the schema, its tables and sequences; the database, where the
-- schema is still to be made. `ownership`: days are made and dropped by whoever owns their table. Locks nothing.
SELECT * FROM (
    SELECT 'the database' AS name, '{CREATE}'::text[] AS lacks
    WHERE to_regnamespace('{schema}') IS NULL AND NOT has_database_privilege(current_database(), 'CREATE')
    UNION ALL
    SELECT 'schema ' || nspname, array_remove(ARRAY[
        CASE WHEN NOT has_schema_privilege(oid, 'USAGE') THEN 'USAGE' END,
        CASE WHEN NOT has_schema_privilege(oid, 'CREATE') THEN 'CREATE' END
    ], NULL)
    FROM pg_namespace WHERE oid = to_regnamespace('{schema}')
    UNION ALL
    SELECT relname, array_remove(ARRAY[
        CASE WHEN NOT has_table_privilege(oid, 'SELECT') THEN 'SELECT' END,
        CASE WHEN NOT has_table_privilege(oid, 'INSERT') THEN 'INSERT' END,
        CASE WHEN NOT has_table_privilege(oid, 'UPDATE') THEN 'UPDATE' END,
        CASE WHEN NOT has_table_privilege(oid, 'DELETE') THEN 'DELETE' END,
        CASE WHEN relkind = 'p' AND NOT pg_has_role(relowner, 'MEMBER') THEN 'ownership' END
    ], NULL)
    FROM pg_class WHERE relnamespace = to_regnamespace('{schema}') AND relkind IN ('r', 'p')
    UNION ALL
    SELECT relname, CASE WHEN has_sequence_privilege(oid, 'USAGE') THEN '{}'::text[] ELSE '{USAGE}' END
    FROM pg_class WHERE relnamespace = to_regnamespace('{schema}') AND relkind = 'S'
) AS rights
WHERE cardinality(lacks) > 0
ORDER BY name
