-- Chats: a row a chat, and what was visibly said in it. The transcript of the Claude session behind a chat is the one record
-- of its details; it belongs to the sessions room.

CREATE TABLE {schema}.chat_sessions (
    session_id         text COLLATE "C" PRIMARY KEY,
    channel            text NOT NULL CHECK (channel IN ('web', 'telegram', 'scheduled')),
    user_id            text,
    agent_name         text NOT NULL,
    claude_session_id  uuid NOT NULL,    -- a reset changes this one and keeps session_id
    is_active          boolean NOT NULL DEFAULT true,
    created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE {schema}.chat_message_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id  text COLLATE "C" NOT NULL REFERENCES {schema}.chat_sessions,
    type        text NOT NULL CHECK (type IN ('human', 'ai', 'system')),
    content     text NOT NULL,
    turn_id     uuid,                   -- of a human message: the turn that it is bound to; of an answer: the turn it ends
    failed_at   timestamptz,            -- of a human message: its turn failed for good
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX chat_message_history_session ON {schema}.chat_message_history (session_id, id);
-- What a turn binds: human messages that no turn has taken.
CREATE INDEX chat_message_history_unbound ON {schema}.chat_message_history (session_id, id)
    WHERE type = 'human' AND turn_id IS NULL;
-- A turn has one answer, whoever writes it.
CREATE UNIQUE INDEX chat_message_history_answer ON {schema}.chat_message_history (turn_id) WHERE type = 'ai';
