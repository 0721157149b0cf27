-- What a history has come to, so that nobody goes on in another one that has the same numbers (docs/adr/0014).
--
-- Each revision's link is the SHA-256 of the link before it, its own number and its changes. The chain begins with the first
-- revision that is written from here on: rows from before, and those of programs that know of no chain, have no link.

ALTER TABLE replication_head ADD COLUMN chain BYTEA;  -- the last link; null: there is none yet in this epoch
ALTER TABLE change_log ADD COLUMN chain BYTEA;        -- null: written by a program that knew of no chain
