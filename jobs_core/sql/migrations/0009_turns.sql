-- Turns: jobs of one type, queue and class may go round by whose they are; and ageing: a job that was ready for long goes up a class.

-- Who was served when: `served` is a readiness number, drawn at each turn that a key takes, and by now in one line with those of its
-- jobs. Who has no row was not served of late.
CREATE TABLE {schema}.fair_keys (
    queue      text COLLATE "C" NOT NULL,
    job_type   text COLLATE "C" NOT NULL,
    priority   smallint NOT NULL,
    key        text COLLATE "C" NOT NULL,
    served     bigint NOT NULL DEFAULT 0,
    served_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (queue, job_type, priority, key)
) WITH (fillfactor = 50);

-- A job that goes by turns waits where those with limits do: its key, in an array of its own, stands first in `limit_group`, before
-- the keys of its limits, of which there may be none: [["user:7"], "api:search"].

-- How far readiness numbers had come by when: a number says when its job became ready, and jobs need no column for it.
CREATE TABLE {schema}.ready_times (
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    ready_seq  bigint NOT NULL
);
CREATE INDEX ready_times_at ON {schema}.ready_times (at);

ALTER TABLE {schema}.jobs ADD COLUMN first_priority smallint;  -- of a job that went up by waiting: the class it was created in

-- How jobs of a type find their key: user_id, project_id, input (Python computes it); null: they take no turns.
ALTER TABLE {schema}.job_types ADD COLUMN fair_by text COLLATE "C";

-- The group that the job waits in: that of its limits, with whose job it is before them, where its type goes by turns.
CREATE FUNCTION {schema}.turn_group(made {schema}.jobs, key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    declared CONSTANT text := (SELECT t.fair_by FROM {schema}.job_types AS t WHERE t.name = made.job_type);
    found_group text;
BEGIN
    IF declared IS NULL THEN
        IF key IS NOT NULL THEN
            PERFORM {schema}.refuse('fair_by', format('jobs of type %s take no turns; leave it out', made.job_type));
        END IF;
        RETURN made.limit_group;
    ELSIF key IS NULL AND declared = 'input' THEN
        PERFORM {schema}.refuse('fair_by', format(
            'Python computes whose jobs of type %s are; give it, or an empty text for nobody''s', made.job_type));
    ELSIF key IS NOT NULL AND declared <> 'input' THEN
        PERFORM {schema}.refuse('fair_by', format('jobs of type %s go by %s; leave it out', made.job_type, declared));
    ELSIF char_length(key) > 200 THEN
        PERFORM {schema}.refuse('fair_by', format('%s characters, at most 200 are allowed', char_length(key)));
    END IF;
    key := CASE declared WHEN 'user_id' THEN made.user_id WHEN 'project_id' THEN made.project_id ELSE key END;
    found_group := jsonb_build_array(jsonb_build_array(coalesce(key, ''))) || coalesce(made.limit_group, '[]')::jsonb;
    IF octet_length(found_group) > 1000 THEN
        PERFORM {schema}.refuse('limits', 'the keys together have more than 1000 bytes');
    END IF;
    RETURN found_group;
END $$;

REVOKE ALL ON FUNCTION {schema}.turn_group FROM PUBLIC;  -- 0010 has create call it
