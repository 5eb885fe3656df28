-- Makes the row, open; of two that do at once the second waits, and then finds it.
INSERT INTO {schema}.provider (state) VALUES ('open') ON CONFLICT (one) DO NOTHING
