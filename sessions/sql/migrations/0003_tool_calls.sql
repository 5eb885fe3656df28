-- What the gate decided about each tool call, for good; and which calls were let through to their tools.

-- The audit: a row a decision. Rows are added and never changed: whoever looks into it later must be able to believe it.
CREATE TABLE {schema}.tool_decisions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_id      uuid NOT NULL,
    turn_id         uuid NOT NULL,
    token           bigint,                     -- of the job's claim, where a job ran the turn
    user_id         text COLLATE "C",
    agent           text COLLATE "C" NOT NULL,
    subagent        boolean NOT NULL,
    tool            text COLLATE "C" NOT NULL,
    call_id         text COLLATE "C" NOT NULL,
    digest          text COLLATE "C" NOT NULL,  -- SHA-256 of the canonical arguments, as the model gave them
    allowed_digest  text COLLATE "C",           -- of those that the call was let through with
    verdict         text COLLATE "C" NOT NULL CHECK (verdict IN ('allow', 'deny', 'ask')),
    decided_by      text NOT NULL,              -- the rule, or the person
    CHECK ((allowed_digest IS NOT NULL) = (verdict = 'allow'))
);
CREATE INDEX tool_decisions_session ON {schema}.tool_decisions (session_id, id);

CREATE FUNCTION {schema}.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are added, and never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.tool_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();

-- The journal: written before a call goes to its tool, and when the tool has ended. A transcript shows a call only once its
-- whole message was said, so that a crash before that leaves a call here alone.
CREATE TABLE {schema}.tool_calls (
    session_id  uuid NOT NULL,
    call_id     text COLLATE "C" NOT NULL,
    turn_id     uuid NOT NULL,
    token       bigint,
    epoch       bigint NOT NULL,                -- of the run that let it through
    subagent    boolean NOT NULL,
    tool        text COLLATE "C" NOT NULL,
    arguments   text NOT NULL,                  -- cut: enough to know the call by
    called_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,                    -- null: nobody knows whether it did
    failed      boolean,
    PRIMARY KEY (session_id, call_id)           -- a call goes to its tool once
);
CREATE INDEX tool_calls_turn ON {schema}.tool_calls (turn_id, called_at);
