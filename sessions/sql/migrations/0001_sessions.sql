-- Conversations with Claude: the sessions, what was said in them, and the turns that jobs ran.
-- A turn names its job by number only: jobs move to history and leave it.

CREATE TABLE {schema}.sessions (
    id          uuid PRIMARY KEY,       -- the Claude session's id
    epoch       bigint NOT NULL DEFAULT 0,  -- rises whenever a run takes the session: the fence of its transcript
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_at    timestamptz
) WITH (fillfactor = 80);

-- A session's JSONL entries in the order they were stored. Text, not jsonb: entries hold \u0000 and lone surrogates.
CREATE TABLE {schema}.transcript_entries (
    session_id  uuid NOT NULL REFERENCES {schema}.sessions,
    subpath     text COLLATE "C" NOT NULL,  -- '' is the conversation itself, 'subagents/…' a subagent's
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    entry_uuid  text COLLATE "C",           -- null: an entry without a uuid, of which every copy is kept
    epoch       bigint NOT NULL,            -- of the run that wrote it
    entry       text NOT NULL,
    stored_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session_id, subpath, seq),
    UNIQUE (session_id, subpath, entry_uuid)
);

CREATE TABLE {schema}.turns (
    id          uuid PRIMARY KEY,       -- the prompt's uuid in the transcript
    session_id  uuid NOT NULL REFERENCES {schema}.sessions,
    job_id      bigint NOT NULL,        -- the job that began it
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz             -- when its answer was recorded; null: not answered (yet, or ever)
);

CREATE INDEX turns_job ON {schema}.turns (job_id, started_at);
-- The newest answered turn of a session: the proof that its transcript cannot be empty.
CREATE INDEX turns_answered ON {schema}.turns (session_id, ended_at) WHERE ended_at IS NOT NULL;
