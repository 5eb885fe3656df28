-- What came of turns that ran by a schedule: a row for each of their jobs.

CREATE TABLE {schema}.agent_execution_results (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_id     bigint,                             -- null: its job was created by hand; by number only: schedules are removed
    schedule_name   text COLLATE "C",
    agent_name      text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C",                   -- for whom; null: the owner
    session_id      text COLLATE "C" NOT NULL REFERENCES {schema}.chat_sessions,
    job_id          bigint NOT NULL UNIQUE,             -- by number only: jobs move to history
    turn_id         uuid,                               -- null: it has not ended, or could not begin
    status          text COLLATE "C" NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'complete', 'failed', 'cancelled')),
    result_content  text,                               -- the answer, or why there is none
    due_at          timestamptz NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at        timestamptz,
    CHECK ((status = 'running') = (ended_at IS NULL))
) WITH (fillfactor = 80);

CREATE INDEX agent_execution_results_of_schedule ON {schema}.agent_execution_results (schedule_id, id);
CREATE INDEX agent_execution_results_of_agent ON {schema}.agent_execution_results (agent_name, id);
CREATE INDEX agent_execution_results_running ON {schema}.agent_execution_results (id) WHERE status = 'running';

-- The schedules that run agents, as those know them who only want these.
CREATE VIEW {schema}.agent_schedules AS
SELECT id, user_id, input ->> 'agent' AS agent_name, input ->> 'prompt' AS prompt, cron AS cron_expression,
       jsonb_strip_nulls(jsonb_build_object(
           'name', name, 'zone', zone, 'every_s', every_s, 'at', at, 'approvals', input ->> 'approvals', 'jitter_s', jitter_s,
           'missed', missed, 'missed_max', missed_max, 'missed_window_s', missed_window_s, 'overlap', overlap, 'source', source,
           'paused_at', paused_at, 'paused_why', paused_why
       )) AS config,
       next_at, created_at, changed_at
FROM {schema}.schedules
WHERE job_type = 'scheduled_turn';
