-- Takes name, secret. Adds a secret that is good until another one replaces it.
INSERT INTO {schema}.callback_secrets (callback, secret) VALUES (%(name)s, %(secret)s)
