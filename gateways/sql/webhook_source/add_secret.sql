-- Takes name, secret. Adds a secret that is good until another one replaces it.
INSERT INTO {schema}.webhook_secrets (source, secret) VALUES (%(name)s, %(secret)s)
