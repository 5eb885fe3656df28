-- Takes room, number, name. Touches one row when this transaction is the one to apply the file, none when it was applied.
INSERT INTO {schema}.migrations (room, number, name) VALUES (%(room)s, %(number)s, %(name)s)
ON CONFLICT DO NOTHING
