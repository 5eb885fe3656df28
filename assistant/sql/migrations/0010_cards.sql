-- Cards: what people decide by buttons. Strangers, who wait for an owner's word, and codes by which an owner says who they are.

ALTER TABLE {schema}.deliveries DROP CONSTRAINT deliveries_kind_check;
ALTER TABLE {schema}.deliveries ADD CONSTRAINT deliveries_kind_check
    CHECK (kind IN ('answer', 'failure', 'notification', 'card')) NOT VALID;  -- reads no row: what is there fitted the old one

CREATE TABLE {schema}.cards (
    delivery_id  bigint PRIMARY KEY,             -- the message with the buttons
    latest_id    bigint NOT NULL,                -- the delivery that changed it last, or itself
    about        text COLLATE "C" NOT NULL       -- action:…, contact_request:…
);
CREATE INDEX cards_about ON {schema}.cards (about);

ALTER TABLE {schema}.user_channels ADD COLUMN account text;  -- of ours, by which they came last; null: nobody said

ALTER TABLE {schema}.users
    ADD COLUMN admission     text NOT NULL DEFAULT 'allowed',   -- whoever is here by now was served until now
    ADD COLUMN admission_at  timestamptz;                       -- when somebody decided that
ALTER TABLE {schema}.users ALTER COLUMN admission SET DEFAULT 'unknown';
ALTER TABLE {schema}.users ADD CONSTRAINT users_admission_check
    CHECK (admission IN ('unknown', 'held', 'allowed', 'denied', 'blocked')) NOT VALID;

-- An owner is asked about a stranger: once, until they are denied and come again.
CREATE TABLE {schema}.contact_requests (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      text COLLATE "C" NOT NULL REFERENCES {schema}.users,
    channel      text COLLATE "C" NOT NULL,
    address      text COLLATE "C" NOT NULL,      -- their number at Telegram
    first_words  text NOT NULL,
    kept         integer NOT NULL DEFAULT 0,     -- messages that wait
    kept_bytes   integer NOT NULL DEFAULT 0,
    dropped      bigint NOT NULL DEFAULT 0,      -- and those past the bounds
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'allowed', 'denied', 'blocked')),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_by   text,
    decided_at   timestamptz
) WITH (fillfactor = 50);                        -- its counts are written with each message
CREATE UNIQUE INDEX contact_requests_open ON {schema}.contact_requests (user_id) WHERE state = 'open';

-- What a stranger said, with all that is needed to take it in.
CREATE TABLE {schema}.held_messages (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id          text COLLATE "C" NOT NULL REFERENCES {schema}.users,
    channel          text COLLATE "C" NOT NULL,
    account          text,
    session_id       text COLLATE "C" NOT NULL,
    content          text NOT NULL,
    idempotency_key  text COLLATE "C"
);
CREATE INDEX held_messages_user ON {schema}.held_messages (user_id, session_id, id);

-- The one code that makes its sender the owner; and who has guessed wrong, and how often.
CREATE TABLE {schema}.pairing_codes (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),  -- there is but one
    digest      bytea NOT NULL,                  -- SHA-256 of the code, which is random
    expires_at  timestamptz NOT NULL,
    wrong       integer NOT NULL DEFAULT 0       -- guesses, of all senders together
);
CREATE TABLE {schema}.pairing_guesses (
    sender  text COLLATE "C" PRIMARY KEY,
    wrong   integer NOT NULL
);
