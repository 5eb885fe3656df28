-- Webhooks: who may send us events, what is made of them, and what was received.

CREATE TABLE {schema}.webhook_sources (
    name            text COLLATE "C" PRIMARY KEY,
    scheme          text NOT NULL,
    settings        jsonb NOT NULL,                     -- of a scheme that has some: header, prefix, …
    job_type        text COLLATE "C" NOT NULL,
    mapping         jsonb NOT NULL,
    dedupe_by       text NOT NULL CHECK (dedupe_by IN ('id', 'body')),
    cap_per_minute  integer CHECK (cap_per_minute > 0), -- null: none
    enabled         boolean NOT NULL,
    alarmed_at      timestamptz,                        -- when the owner was last told that something is wrong with it
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- In clear: a signature cannot be checked with less. No command and no route shows one again.
CREATE TABLE {schema}.webhook_secrets (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source       text COLLATE "C" NOT NULL REFERENCES {schema}.webhook_sources ON DELETE CASCADE,
    secret       text NOT NULL,
    valid_until  timestamptz,                           -- null: until another one replaces it
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX webhook_secrets_of_source ON {schema}.webhook_secrets (source);

-- How many came in this minute, from sources with a cap. A crash of the server empties it, and that is a minute's count.
CREATE UNLOGGED TABLE {schema}.webhook_counts (
    source  text COLLATE "C" PRIMARY KEY,
    minute  timestamptz NOT NULL,
    n       integer NOT NULL
) WITH (fillfactor = 50);

-- Each event once, for as long as its sender may repeat it. It outlives its source.
CREATE TABLE {schema}.webhook_events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source       text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,             -- the sender's id for it, or sha256: and the body's digest
    digest       bytea NOT NULL,                        -- SHA-256 of the body
    body         bytea NOT NULL,
    headers      jsonb NOT NULL,                        -- those that say what it is
    result       text NOT NULL CHECK (result IN ('created', 'met', 'ignored', 'failed')),
    error        text,                                  -- why no job could be made of it
    job_id       bigint,
    conflicts    integer NOT NULL DEFAULT 0,            -- how often its id came with another body
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    replayed_at  timestamptz,
    UNIQUE (source, key)
);

CREATE INDEX webhook_events_of_source ON {schema}.webhook_events (source, id);
CREATE INDEX webhook_events_by_age ON {schema}.webhook_events (received_at);
