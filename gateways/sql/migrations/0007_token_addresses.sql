-- Tokens that are an address's, of a program with its own sign-in: good for whoever it is by now, and for nobody once it is unlinked.

ALTER TABLE {schema}.api_tokens ADD COLUMN address text COLLATE "C";   -- of user_channels, channel web; null: the token is its person's
