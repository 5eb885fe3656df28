-- Callbacks: other programs that are told of events, each by deliveries of its own.

ALTER TABLE {schema}.deliveries DROP CONSTRAINT deliveries_kind_check;
ALTER TABLE {schema}.deliveries ADD CONSTRAINT deliveries_kind_check
    CHECK (kind IN ('answer', 'failure', 'notification', 'card', 'event')) NOT VALID;  -- reads no row: what is there fitted the old one

CREATE TABLE {schema}.callbacks (
    name           text COLLATE "C" PRIMARY KEY,
    url            text NOT NULL,
    events         jsonb NOT NULL,         -- by event, which of them: {"turn.ended": {"agent": ["helper"]}}
    enabled        boolean NOT NULL,
    off_why        text,                   -- where we switched it off
    failing_since  timestamptz,            -- since when no try has arrived; null: the last one did
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- In clear: nothing can be signed with less. No command and no route shows one again.
CREATE TABLE {schema}.callback_secrets (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    callback     text COLLATE "C" NOT NULL REFERENCES {schema}.callbacks ON DELETE CASCADE,
    secret       text NOT NULL,
    valid_until  timestamptz,              -- null: until another one replaces it
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX callback_secrets_of_callback ON {schema}.callback_secrets (callback);
