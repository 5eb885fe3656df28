-- Takes name, url, events (JSON), enabled. Inserts a callback; touches no row where there is one of that name.
INSERT INTO {schema}.callbacks (name, url, events, enabled) VALUES (%(name)s, %(url)s, %(events)s::jsonb, %(enabled)s)
ON CONFLICT (name) DO NOTHING
