-- Tokens by which people, and programs for them, use the web API; and what came with files under a key, so that a repeat is met.

CREATE TABLE {schema}.api_tokens (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash        bytea NOT NULL UNIQUE,          -- SHA-256 of the token, which is random and stands nowhere
    name        text NOT NULL,                  -- what it is for, in words
    user_id     text COLLATE "C" NOT NULL,      -- whose it is: users.id
    scopes      text[] NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz,                    -- null: never
    used_at     timestamptz,                    -- to the minute; null: never
    revoked_at  timestamptz
);
CREATE INDEX api_tokens_user ON {schema}.api_tokens (user_id, id);

CREATE TABLE {schema}.api_sends (
    user_id     text COLLATE "C" NOT NULL,      -- whose message it was
    key         text COLLATE "C" NOT NULL,      -- its Idempotency-Key
    digest      bytea NOT NULL,                 -- of all that was sent
    session_id  text COLLATE "C" NOT NULL,
    message_id  bigint NOT NULL,                -- chat_message_history.id
    job_id      bigint NOT NULL,                -- that came with it
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, key)
);
