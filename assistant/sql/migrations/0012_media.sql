-- Files that people send by channels other than the web. Their bytes stand here from the moment they are fetched until they are
-- too old, so that any host that shares this database can hand them to an agent.

CREATE TABLE {schema}.media_files (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id        text COLLATE "C" NOT NULL,   -- whose message brings it
    kind           text NOT NULL,               -- what its channel calls it: photo, voice, document …
    claimed_name   text,                        -- what its sender calls it: told as their word, never a path
    claimed_bytes  bigint NOT NULL,             -- what its channel says before it is fetched
    seconds        integer,                     -- of what is heard or seen, as its channel says
    state          text NOT NULL CHECK (state IN ('coming', 'here', 'refused', 'gone')),
    said           text,                        -- refused: why
    name           text,                        -- here: what it is saved as; ours
    media_type     text,                        -- here: what its bytes are
    bytes          bigint,                      -- here
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- What somebody has sent in the last day: what counts towards their share, which has an end, and what was refused.
CREATE INDEX media_files_taken ON {schema}.media_files (user_id, created_at) WHERE state <> 'refused';
CREATE INDEX media_files_refused ON {schema}.media_files (user_id, created_at) WHERE state = 'refused';
-- What has bytes that will be too old.
CREATE INDEX media_files_kept ON {schema}.media_files (created_at) WHERE state IN ('coming', 'here');

-- Pieces of half a MiB: nobody who writes or reads a file needs to hold all of it.
CREATE TABLE {schema}.media_pieces (
    file_id  bigint NOT NULL REFERENCES {schema}.media_files,
    nth      integer NOT NULL,                  -- 0 is the first
    content  bytea NOT NULL,
    PRIMARY KEY (file_id, nth)
);
ALTER TABLE {schema}.media_pieces ALTER COLUMN content SET STORAGE EXTERNAL;  -- most of it is compressed already

-- Which of them came with which message, those apart that stand in chat_files.
CREATE TABLE {schema}.message_media (
    message_id  bigint NOT NULL,                -- chat_message_history.id
    nth         smallint NOT NULL,              -- 1 is the message's first
    file_id     bigint NOT NULL REFERENCES {schema}.media_files,
    PRIMARY KEY (message_id, nth)
);
