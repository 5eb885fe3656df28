-- What a stranger said by a door that keeps it with its files, and accounts that are out of use.

-- arrival_id: the door's number of it, by which its job finds it. released: an owner has allowed it, and that job is on the way; null and
-- false: its words stand here, and nowhere else. file_ids: the files that it brings, which are forgotten with it.
ALTER TABLE {schema}.held_messages
    ADD COLUMN arrival_id bigint,
    ADD COLUMN file_ids   bigint[],
    ADD COLUMN released   boolean NOT NULL DEFAULT false;

-- Accounts of ours by which nothing goes, as deliveries' lanes name them: what is to be told goes by others until somebody logs in again.
CREATE TABLE {schema}.accounts_out_of_use (
    channel  text COLLATE "C" NOT NULL,
    account  text COLLATE "C" NOT NULL,
    since    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (channel, account)
);
