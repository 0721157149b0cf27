-- Services' own permission models and their relation tuples, and what edges' routes need of the models.
--
-- table            owner     what a row is
-- ---------------- --------- ---------------------------------------------------------------------------------------
-- service_models   access *  a version of a service's model; never changed, and the last one counts
-- relation_tuples  access *  a tuple about an object of a service's own type
-- idempotency_keys access    a write of tuples that was done, and its answer, in case it is asked for again
-- edge_routes      access    a relation that a route of an edge asks about, as the edge announced it
--
-- As in 0001, rows of tables with a * are known to every edge. They belong to a service's name, not to a service app: they
-- stay when the app is deleted, and are there again for the next one of that name.

CREATE TABLE service_models (
    service_name TEXT        NOT NULL,
    version      BIGINT      NOT NULL,  -- 1, 2, 3 …
    text         TEXT        NOT NULL,  -- OpenFGA's language, schema 1.1
    created_by   UUID REFERENCES users (id) ON DELETE SET NULL,  -- null: the service itself
    created_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT service_models__service_name__version PRIMARY KEY (service_name, version),
    CONSTRAINT service_models__version CHECK (version > 0)
);

CREATE TABLE relation_tuples (
    service_name TEXT        NOT NULL,
    object       TEXT        NOT NULL,  -- its type by its own name: `folder:7`
    relation     TEXT        NOT NULL,
    subject      TEXT        NOT NULL,  -- as in tuples: `user:…`, `group:…#member`, `docs/team:3#member`, `user:*`
    expires_at   TIMESTAMPTZ,           -- null: it has no end
    CONSTRAINT relation_tuples__service_name__object__relation__subject
        PRIMARY KEY (service_name, object, relation, subject)
);
CREATE INDEX relation_tuples_of_subject ON relation_tuples (subject, service_name, object, relation);
CREATE INDEX relation_tuples_by_end ON relation_tuples (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE idempotency_keys (
    service_name TEXT        NOT NULL,
    key          TEXT        NOT NULL,
    request      BYTEA       NOT NULL,  -- SHA-256 of what was asked for
    answer       JSONB       NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT idempotency_keys__service_name__key PRIMARY KEY (service_name, key)
);
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);

CREATE TABLE edge_routes (
    edge_id      UUID        NOT NULL REFERENCES edges (id),
    route        TEXT        NOT NULL,  -- the route's name in the edge's configuration
    service_name TEXT        NOT NULL,
    kind         TEXT        NOT NULL,  -- an object's type, by its own name
    relation     TEXT        NOT NULL,
    announced_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT edge_routes__edge_id__route__service_name__kind__relation
        PRIMARY KEY (edge_id, route, service_name, kind, relation)
);
CREATE INDEX edge_routes_of_service ON edge_routes (service_name);
