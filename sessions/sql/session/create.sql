-- Takes id. Makes a session that nobody has taken yet.
INSERT INTO {schema}.sessions (id) VALUES (%(id)s)
