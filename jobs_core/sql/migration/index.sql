-- Takes name. Returns of that index valid (a build came to its end), and building (one of its table's is under way); no row: there is none.
SELECT i.indisvalid AS valid,
       EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.relid = i.indrelid) AS building
FROM pg_index AS i WHERE i.indexrelid = to_regclass('{schema}.' || quote_ident(%(name)s))
