-- Chats: a row a chat, and what was visibly said in it. The transcript of the Claude session behind a chat is the one record
-- of its details; it belongs to the sessions room.

CREATE TABLE {schema}.chat_sessions (
    session_id         text COLLATE "C" PRIMARY KEY,
    channel            text NOT NULL CHECK (channel IN ('web', 'telegram', 'scheduled')),
    user_id            text,             -- who began it
    agent_name         text NOT NULL,
    claude_session_id  uuid NOT NULL,    -- a reset changes this one and keeps session_id
    is_active          boolean NOT NULL DEFAULT true,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE {schema}.chat_message_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id  text COLLATE "C" NOT NULL REFERENCES {schema}.chat_sessions,
    type        text NOT NULL CHECK (type IN ('human', 'ai', 'system')),
    content     text NOT NULL,
    turn_id     uuid,           -- human: the turn that it is bound to; ai, system: the turn that ended with it
    ended_at    timestamptz,    -- human: when its turn was answered, or failed for good
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 90);       -- a human message is written thrice: said, bound, ended

CREATE INDEX chat_message_history_session ON {schema}.chat_message_history (session_id, id);
-- What turns look through: human messages that have no answer yet.
CREATE INDEX chat_message_history_open ON {schema}.chat_message_history (session_id, id)
    WHERE type = 'human' AND ended_at IS NULL;
-- The messages of a turn.
CREATE INDEX chat_message_history_turn ON {schema}.chat_message_history (turn_id, id) WHERE turn_id IS NOT NULL;
-- A turn ends once: with an answer, or with the word that it failed.
CREATE UNIQUE INDEX chat_message_history_end ON {schema}.chat_message_history (turn_id) WHERE type IN ('ai', 'system');
