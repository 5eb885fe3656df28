-- A chat may have a title, and a message may bring files: pictures and documents. Their bytes stand in a table of their own, which
-- nothing reads that lists chats or messages.

ALTER TABLE {schema}.chat_sessions ADD COLUMN title text;
ALTER TABLE {schema}.chat_message_history ADD COLUMN file_bytes bigint NOT NULL DEFAULT 0;  -- of all its files together

CREATE TABLE {schema}.chat_files (
    message_id   bigint NOT NULL REFERENCES {schema}.chat_message_history,
    nth          smallint NOT NULL,     -- 1 is the message's first
    after_chars  integer NOT NULL,      -- how much of the message's text stands before it
    media_type   text NOT NULL,
    name         text,
    content      bytea NOT NULL,
    PRIMARY KEY (message_id, nth)
);
ALTER TABLE {schema}.chat_files ALTER COLUMN content SET STORAGE EXTERNAL;  -- pictures and PDFs are compressed already
