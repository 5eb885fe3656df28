-- Takes name. Notes that a try arrived; touches no row where the one before did, too.
UPDATE {schema}.callbacks SET failing_since = NULL WHERE name = %(name)s AND failing_since IS NOT NULL
