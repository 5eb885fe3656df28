-- People: a row a person, and the channels by which they come; agents as data; and which agent chats try out.

CREATE TABLE {schema}.users (
    id           text COLLATE "C" PRIMARY KEY,    -- made by us: it stands in paths, jobs and chats
    name         text NOT NULL,                   -- as the channel of the last contact has it; nothing follows from it
    username     text,
    role         text NOT NULL CHECK (role IN ('owner', 'external')),
    tg_user_id   bigint UNIQUE,
    merged_into  text COLLATE "C" REFERENCES {schema}.users,    -- turned out to be this person; never to one who was merged
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp()    -- to the minute
);

CREATE INDEX users_listed ON {schema}.users (created_at, id) WHERE merged_into IS NULL;

CREATE TABLE {schema}.user_channels (
    channel     text COLLATE "C" NOT NULL,
    address     text COLLATE "C" NOT NULL,        -- telegram: the person's number there; web: token, who holds the API's token
    user_id     text COLLATE "C" NOT NULL REFERENCES {schema}.users,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (channel, address)
);

CREATE INDEX user_channels_user ON {schema}.user_channels (user_id);

CREATE TABLE {schema}.agents (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,    -- it stands in paths
    name              text COLLATE "C" NOT NULL UNIQUE,
    owner_prompt      text,                       -- null, here and below: what assistant/prompts.py or the settings say
    external_prompt   text,
    heartbeat_prompt  text,
    model             text,
    fallback_model    text,
    effort            text,
    tools             text[] NOT NULL,
    gate_policy       jsonb NOT NULL,
    mcp_servers       jsonb NOT NULL,
    budget            jsonb NOT NULL,
    limits            jsonb NOT NULL,
    workspace         boolean NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE {schema}.chat_sessions ADD COLUMN trial boolean NOT NULL DEFAULT false;    -- `./jobs agent try`
