-- Notifications have an order in which they are read, people say how they are told, and what must wait is on record.

-- The place in that order; null: nobody has looked since it came.
ALTER TABLE {schema}.notifications ADD COLUMN seq bigint;
CREATE SEQUENCE {schema}.notification_seqs OWNED BY {schema}.notifications.seq;

CREATE TABLE {schema}.notification_preferences (
    user_id      text COLLATE "C" PRIMARY KEY REFERENCES {schema}.users,
    preferences  jsonb NOT NULL,     -- as assistant/preferences.py has them
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What is still to go out, with others in one message; a row goes with the delivery that names it, so that it is told once.
CREATE TABLE {schema}.waiting_notifications (
    notification_id  bigint PRIMARY KEY,
    user_id          text COLLATE "C",   -- null: the owner's, whoever that is
    not_by           text COLLATE "C",   -- the account by which it must not go: what it tells of has failed there
    due_at           timestamptz,        -- when its job looks at it; null: there is no way to the person yet
    created_at       timestamptz NOT NULL
);

CREATE INDEX waiting_notifications_of ON {schema}.waiting_notifications (user_id, due_at);
