-- Tool calls that wait for a person, and calls that a person has allowed for good.

CREATE TABLE {schema}.pending_actions (
    id                 bigint PRIMARY KEY,          -- drawn before: the event that its job waits for is named by it
    session_id         text COLLATE "C" NOT NULL,   -- the chat
    claude_session_id  uuid NOT NULL,
    turn_id            uuid NOT NULL,
    job_id             bigint NOT NULL,             -- by number only: jobs move to history
    user_id            text COLLATE "C" NOT NULL,   -- for whom the agent acts
    agent              text COLLATE "C" NOT NULL,
    call_id            text COLLATE "C" NOT NULL,   -- the call's id in the transcript
    tool               text COLLATE "C" NOT NULL,
    arguments          text NOT NULL,               -- canonical JSON; text, because arguments may hold \u0000
    digest             text COLLATE "C" NOT NULL,   -- its SHA-256
    edited_arguments   text,
    edited_digest      text COLLATE "C",
    state              text COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending', 'approved', 'rejected', 'expired', 'superseded', 'cancelled', 'executing', 'executed', 'unknown')),
    asked_by           text NOT NULL,               -- the rule that asks
    may_decide         text[] NOT NULL,             -- ids of people, and role:NAME
    has_read           jsonb NOT NULL,              -- what the session had read when it asked
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at         timestamptz NOT NULL,
    decided_by         text,
    decided_at         timestamptz,
    reason             text,
    noticed_at         timestamptz,                 -- when others in the chat were told what it waits for
    executing_token    bigint,                      -- of the claim that let it through
    executing_at       timestamptz,
    ended_at           timestamptz,
    failed             boolean,                     -- of one that was executed
    result_digest      text COLLATE "C",
    UNIQUE (claude_session_id, call_id),
    CHECK ((edited_arguments IS NULL) = (edited_digest IS NULL))
);
CREATE SEQUENCE {schema}.pending_action_ids OWNED BY {schema}.pending_actions.id;

CREATE INDEX pending_actions_turn ON {schema}.pending_actions (turn_id, id);
-- What lists begin with, and what must end with its job.
CREATE INDEX pending_actions_open ON {schema}.pending_actions (id) WHERE state IN ('pending', 'approved', 'executing');
CREATE INDEX pending_actions_of_chat ON {schema}.pending_actions (session_id) WHERE state = 'pending';

CREATE TABLE {schema}.always_allowed (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     text COLLATE "C" NOT NULL,
    agent       text COLLATE "C" NOT NULL,
    tool        text COLLATE "C" NOT NULL,
    digest      text COLLATE "C" NOT NULL,          -- of the canonical arguments: just these
    arguments   text NOT NULL,
    allowed_by  text NOT NULL,
    allowed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_by  text,
    revoked_at  timestamptz
);
CREATE UNIQUE INDEX always_allowed_now ON {schema}.always_allowed (user_id, agent, tool, digest) WHERE revoked_at IS NULL;
