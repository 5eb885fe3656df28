-- What a stranger said by a door that keeps it with its files: the door's number of it, by which its job finds it. released: an owner
-- has allowed it, and its job is on the way; null and false: its words stand here, and nowhere else.
ALTER TABLE {schema}.held_messages
    ADD COLUMN arrival_id bigint,
    ADD COLUMN released   boolean NOT NULL DEFAULT false;
