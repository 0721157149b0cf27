-- The public keys that edges sign assertions with, as they announced them.
--
-- table               owner   what a row is
-- ------------------- ------- ---------------------------------------------------------------------------------------
-- edge_assertion_keys access  a key that services verify assertions with, and the edge that has its private half

CREATE TABLE edge_assertion_keys (
    kid           TEXT        NOT NULL,  -- RFC 7638 thumbprint
    edge_id       UUID        NOT NULL REFERENCES edges (id),
    public_key    BYTEA       NOT NULL,  -- Ed25519, 32 bytes
    first_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_at  TIMESTAMPTZ NOT NULL,  -- written at most once an hour
    CONSTRAINT edge_assertion_keys__kid PRIMARY KEY (kid)
);
CREATE INDEX edge_assertion_keys_of_edge ON edge_assertion_keys (edge_id);
