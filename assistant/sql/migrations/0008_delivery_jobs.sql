-- Deliveries are sent by jobs: which one, what the receiver said, and since when nobody knows whether a try arrived.

ALTER TABLE {schema}.chat_sessions ADD COLUMN account text;  -- the account of ours that the chat came by; null: the channel's one

ALTER TABLE {schema}.deliveries  -- after the chats, as a settle goes
    ADD COLUMN job_id         bigint,       -- of the job that sends it, by number only; null: nobody sends it so far
    ADD COLUMN tries          integer NOT NULL DEFAULT 0,
    ADD COLUMN unsure_since   timestamptz,  -- when the first try began of which nobody knows whether it arrived
    ADD COLUMN receiver_id    text,         -- what the receiver calls it
    ADD COLUMN said           text,         -- what the receiver said last, or why nobody knows
    ADD COLUMN ended_at       timestamptz,
    ADD COLUMN told_in        uuid;         -- the turn whose prompt told the agent that it did not arrive

-- In which lanes the last delivery did not arrive, so that the owner is told once and not with each.
CREATE TABLE {schema}.delivery_troubles (
    lane         text COLLATE "C" PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('failed', 'unknown', 'blocked')),
    delivery_id  bigint NOT NULL,   -- the first of them
    since        timestamptz NOT NULL DEFAULT clock_timestamp()
);
