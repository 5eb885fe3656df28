-- Messages that wait to be taken into their chats: those whose files are to be fetched, and what was said behind them.

CREATE TABLE {schema}.telegram_waiting (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account     text COLLATE "C" NOT NULL,
    chat_id     bigint NOT NULL,            -- marked
    message_id  integer NOT NULL,
    session_id  text COLLATE "C" NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    grouped_id  bigint,                     -- of an album
    before      text NOT NULL,              -- what stands before its own words: what it answers, what was said in the group
    content     text NOT NULL,              -- its own words
    forwarded   boolean NOT NULL,           -- what it brings is somebody else's
    file_id     bigint,                     -- media_files.id; null: it brings none
    dc_id       integer,                    -- which of Telegram's data centres has the file; null: the account's own
    location    bytea,                      -- what Telegram is asked for: an InputFileLocation
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Does anything of this chat wait?
CREATE INDEX telegram_waiting_of_chat ON {schema}.telegram_waiting (session_id, id);
