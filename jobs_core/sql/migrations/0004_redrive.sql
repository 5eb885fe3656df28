-- Redrives: a new job does again what a job that ended badly was for.

-- Of a job that is a redrive: the job it stands for. Like the rest of the job, it goes along into history; and so does how long
-- a unique key was held, or a redrive could not take the key as it was.
ALTER TABLE {schema}.jobs ADD COLUMN retry_of bigint;
ALTER TABLE {schema}.history
    ADD COLUMN retry_of bigint,
    ADD COLUMN unique_while text COLLATE "C";

-- The other way round: which job does an ended one again, the last one if there were several. A table of its own, so that jobs
-- which have nothing to do with redrives pay for no index.
CREATE TABLE {schema}.redrives (
    job_id        bigint PRIMARY KEY,
    successor_id  bigint NOT NULL,
    redriven_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
