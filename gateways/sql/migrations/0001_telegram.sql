-- Telegram: the accounts of ours and who holds them, how far each one's updates are taken in, and which messages were.

CREATE TABLE {schema}.telegram_accounts (
    name            text COLLATE "C" PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('bot', 'user')),
    prefix          text COLLATE "C" NOT NULL UNIQUE,   -- of the ids of its chat sessions: telegram for the first account, else telegram_{name}
    tg_user_id      bigint NOT NULL UNIQUE,             -- who we are there; two logins of one account would take in all twice
    username        text,
    api_id          integer NOT NULL,
    api_hash        text NOT NULL,
    token           text,                               -- a bot's
    dc_id           integer NOT NULL,
    server_address  text NOT NULL,
    port            integer NOT NULL,
    auth_key        bytea,                              -- null: logged out
    login           integer NOT NULL DEFAULT 1,         -- one more with each login, so that who holds the account sees that the key is another
    state           text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked', 'burnt', 'logged_out')),
    said            text,                               -- what Telegram said, where it is not active
    holder          text,                               -- which process holds it; one that let go is null
    lease_until     timestamptz NOT NULL DEFAULT '-infinity',
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);                               -- its lease is renewed every other second

-- How far an account's updates are committed: written in the transaction that commits the last of them, never before.
CREATE TABLE {schema}.telegram_update_states (
    account     text COLLATE "C" NOT NULL REFERENCES {schema}.telegram_accounts ON DELETE CASCADE,
    peer_id     bigint NOT NULL,                        -- 0: the account's own; else a supergroup's marked id
    pts         integer NOT NULL,
    qts         integer NOT NULL,
    date        timestamptz NOT NULL,
    seq         integer NOT NULL,
    checked_id  integer,                                -- up to here no message is missing; null: nobody looked yet
    PRIMARY KEY (account, peer_id)
) WITH (fillfactor = 50);

-- By what an account may name people and groups; hashes differ from account to account.
CREATE TABLE {schema}.telegram_peers (
    account      text COLLATE "C" NOT NULL REFERENCES {schema}.telegram_accounts ON DELETE CASCADE,
    peer_id      bigint NOT NULL,                       -- marked, as Telethon's utils.get_peer_id
    access_hash  bigint NOT NULL,
    username     text,
    phone        text,
    name         text,
    PRIMARY KEY (account, peer_id)
);

-- Which messages were taken in, each version of one once, and which are ours. Kept for longer than anything looks back.
CREATE TABLE {schema}.telegram_messages (
    account      text COLLATE "C" NOT NULL,
    chat_id      bigint NOT NULL,                       -- marked
    message_id   integer NOT NULL,
    edit_date    timestamptz NOT NULL DEFAULT '-infinity',  -- so for the first version
    direction    text NOT NULL CHECK (direction IN ('in', 'out')),
    sender_id    bigint,
    topic_id     integer NOT NULL DEFAULT 0,            -- 0: none
    grouped_id   bigint,                                -- of an album
    session_id   text COLLATE "C",
    history_id   bigint,                                -- chat_message_history.id: what was made of it; null: nothing, or one notes that it was heard
    own_from     integer NOT NULL DEFAULT 0,            -- the character of that where the person's own words begin: others' stand before
    delivery_id  bigint,                                -- out: the delivery that it is
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, chat_id, message_id, edit_date)
);

-- Private chats and basic groups share one line of ids in an account: where is one missing?
CREATE INDEX telegram_messages_of_account ON {schema}.telegram_messages (account, message_id)
    WHERE chat_id > -1000000000000;
CREATE INDEX telegram_messages_of_album ON {schema}.telegram_messages (account, chat_id, grouped_id)
    WHERE grouped_id IS NOT NULL;
CREATE INDEX telegram_messages_of_delivery ON {schema}.telegram_messages (delivery_id)
    WHERE delivery_id IS NOT NULL;

-- Where a chat session lies at Telegram.
CREATE TABLE {schema}.telegram_chats (
    session_id  text COLLATE "C" PRIMARY KEY,
    account     text COLLATE "C" NOT NULL,
    chat_id     bigint NOT NULL,                        -- marked
    topic_id    integer NOT NULL DEFAULT 0,             -- 0: none
    user_id     text COLLATE "C" NOT NULL,              -- whose it is: users.id
    reply_to    integer NOT NULL,                       -- the last message taken in
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 80);

CREATE INDEX telegram_chats_of_user ON {schema}.telegram_chats (user_id);

-- What was said in a group to nobody of ours, for the next message that is: the last few of each topic.
CREATE TABLE {schema}.telegram_overheard (
    account      text COLLATE "C" NOT NULL,
    chat_id      bigint NOT NULL,
    topic_id     integer NOT NULL,
    message_id   integer NOT NULL,
    sender_name  text NOT NULL,
    content      text NOT NULL,
    PRIMARY KEY (account, chat_id, topic_id, message_id)
);

-- Presses of buttons, each once, and what whoever pressed is shown.
CREATE TABLE {schema}.telegram_presses (
    account     text COLLATE "C" NOT NULL,
    query_id    bigint NOT NULL,
    chat_id     bigint NOT NULL,
    message_id  integer NOT NULL,
    sender_id   bigint NOT NULL,
    shown       text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, query_id)
);
