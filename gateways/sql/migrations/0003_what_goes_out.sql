-- By which number each message of ours went out, so that the next try of its delivery passes over it; and the messages that show
-- how turns go, until their answers are there.

ALTER TABLE {schema}.telegram_messages ADD COLUMN random_id bigint;  -- of what was sent for a delivery

CREATE TABLE {schema}.telegram_progress (
    turn_id     uuid PRIMARY KEY,
    account     text COLLATE "C" NOT NULL,
    chat_id     bigint NOT NULL,    -- marked
    message_id  integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
