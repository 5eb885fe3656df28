-- Tasks, what is owed to people outside, what people are told, and what tools did in a turn.

CREATE TABLE {schema}.tasks (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title             text NOT NULL,
    status            text NOT NULL CHECK (status IN ('open', 'in_progress', 'waiting', 'done', 'cancelled')),
    kind              text COLLATE "C" NOT NULL,
    context           text,                         -- what one must know to do it
    result            text,
    assignee          text COLLATE "C",             -- a user's id
    created_by        text COLLATE "C",             -- likewise
    deadline          timestamptz,
    schedule_at       timestamptz,                  -- kind scheduled: when it runs
    schedule_repeat   text CHECK (schedule_repeat IN ('hourly', 'daily', 'weekdays', 'weekly', 'monthly')),
    next_step         text,                         -- what a heartbeat looks at
    session_id        uuid,                         -- the task's own Claude session
    external_task_id  text COLLATE "C" UNIQUE,      -- the ticket that it stands for
    project_id        text COLLATE "C",
    version           integer NOT NULL DEFAULT 1,   -- one more with each change
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (schedule_at IS NOT NULL OR (kind <> 'scheduled' AND schedule_repeat IS NULL))
);

CREATE INDEX tasks_assignee ON {schema}.tasks (assignee, id);
CREATE INDEX tasks_created_by ON {schema}.tasks (created_by, id);
-- What is not done yet, which is what most lists are of.
CREATE INDEX tasks_open ON {schema}.tasks (id) WHERE status NOT IN ('done', 'cancelled');

CREATE TABLE {schema}.deliveries (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owed_for    text COLLATE "C" NOT NULL UNIQUE,   -- turn:…, notification:…: the same thing is owed once
    channel     text,             -- null: whichever the person has
    account     text,             -- the account of ours that sends; null: the channel decides, before the first try
    chat        text COLLATE "C", -- the chat session that it goes to; null: the person's own
    user_id     text COLLATE "C", -- whom it is owed to; null: the owner, where chat is null too
    kind        text NOT NULL CHECK (kind IN ('answer', 'failure', 'notification')),
    payload     jsonb NOT NULL,
    random_id   bigint NOT NULL,  -- what the receiver tells a second copy by, drawn before the first try
    state       text NOT NULL DEFAULT 'owed' CHECK (state IN ('owed', 'sent', 'failed', 'unknown', 'blocked')),
    turn_id     uuid,             -- the turn that owes it
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX deliveries_state ON {schema}.deliveries (state, id);

CREATE TABLE {schema}.notifications (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     text COLLATE "C", -- whose it is; null: the owner's
    title       text NOT NULL,
    body        text NOT NULL,
    category    text NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    read        boolean NOT NULL DEFAULT false,
    metadata    jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX notifications_unread ON {schema}.notifications (id) WHERE NOT read;

-- What a call of a tool did, so that a turn that is gone on with does not do it again.
CREATE TABLE {schema}.tool_effects (
    turn_id     uuid NOT NULL,
    tool        text COLLATE "C" NOT NULL,
    digest      bytea NOT NULL,   -- of the call's input
    call_id     text COLLATE "C", -- in the transcript
    run_id      uuid NOT NULL,    -- the CLI's run that called
    told_to     uuid,             -- a later run that was told of it, once
    result      text NOT NULL,    -- what the model was answered
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (turn_id, tool, digest)
);
