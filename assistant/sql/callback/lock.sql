-- Takes name. Locks the callback's row and returns what defines it: of two that change it, the second sees what the first wrote.
SELECT url, events, enabled FROM {schema}.callbacks WHERE name = %(name)s FOR UPDATE
