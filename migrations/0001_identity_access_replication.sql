-- Everything the control plane keeps, but for roles and actions (0002).
--
-- One text for PostgreSQL and SQLite (control-plane/store/src/migrate): for SQLite the runner turns the type names UUID,
-- TIMESTAMPTZ, JSONB, BYTEA, BOOLEAN and BIGINT into SQLite's and makes tables STRICT; for PostgreSQL it gives every TEXT
-- the collation "C". A step that was released is never edited.
--
-- table                   owner     what a row is
-- ----------------------- --------- --------------------------------------------------------------------------------
-- users                   access    a person; is_active and is_admin
-- workspaces              access    a tenant
-- workspace_memberships   access *  a user's one role in a workspace
-- groups                  access *  a named set of members of one workspace
-- group_memberships       access *  a user in a group
-- resource_permissions    access *  a resource that a service registered: its workspace, owner and visibility
-- resource_shares         access *  view or edit for one user or group on one resource
-- client_apps             access    a front end whose redirect URIs may receive authorization codes
-- service_apps            access *  a back end with a scope (service_name)
-- service_keys            access *  a key of a service app, as a digest
-- edges                   access    an enrolled proxy, its key as a digest
-- activity_logs           access    what was done, by whom, to what; keeps ids after their rows are gone
-- social_accounts         identity  a user's account at an identity provider
-- sessions                identity  a login; also the family of its refresh tokens
-- refresh_tokens          identity  one refresh token of a session; spent once
-- revocations             identity* a session or token that counts no more, until its last token has expired by itself
-- signing_keys            identity* a key that signs tokens, or the feed; the private half encrypted
-- replication_head        store     one row: the epoch, and the last revision in it
-- change_log              store     what each revision changed, as lines of `sentinel_core::Change`
--
-- Rows of tables with a * are known to every edge. No foreign key deletes or empties them behind the program's back:
-- whoever deletes a parent first deletes them, in a `WriteTx`, and records the change (otherwise: foreign key violation).
--
-- Names of constraints are `<table>__<column>__<column>` (at most 63 bytes), which is what `StoreError::Conflict` says on
-- both databases. Ids are made by the program (UUIDv7), and so are all times (UTC, microseconds).

CREATE TABLE users (
    id          UUID        NOT NULL,
    email       TEXT        NOT NULL,  -- as the identity provider writes it
    email_key   TEXT        NOT NULL,  -- sentinel_core::EmailKey: what is unique and what is searched
    name        TEXT        NOT NULL,
    avatar_url  TEXT,
    is_active   BOOLEAN     NOT NULL,
    is_admin    BOOLEAN     NOT NULL,
    demoted_at  TIMESTAMPTZ,           -- when is_admin was taken away: a listed address does not give it back
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,
    CONSTRAINT users__id PRIMARY KEY (id),
    CONSTRAINT users__email_key UNIQUE (email_key)
);

CREATE TABLE workspaces (
    id          UUID        NOT NULL,
    slug        TEXT        NOT NULL,
    name        TEXT        NOT NULL,
    description TEXT,
    created_by  UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    CONSTRAINT workspaces__id PRIMARY KEY (id),
    CONSTRAINT workspaces__slug UNIQUE (slug)
);

CREATE TABLE workspace_memberships (
    id           UUID        NOT NULL,
    workspace_id UUID        NOT NULL REFERENCES workspaces (id),
    user_id      UUID        NOT NULL REFERENCES users (id),
    role         TEXT        NOT NULL,
    joined_at    TIMESTAMPTZ NOT NULL,
    CONSTRAINT workspace_memberships__id PRIMARY KEY (id),
    CONSTRAINT workspace_memberships__workspace_id__user_id UNIQUE (workspace_id, user_id),
    CONSTRAINT workspace_memberships__role CHECK (role IN ('owner', 'admin', 'editor', 'viewer'))
);
CREATE INDEX workspace_memberships_of_user ON workspace_memberships (user_id, workspace_id);

CREATE TABLE groups (
    id           UUID        NOT NULL,
    workspace_id UUID        NOT NULL REFERENCES workspaces (id),
    name         TEXT        NOT NULL,
    description  TEXT,
    created_by   UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT groups__id PRIMARY KEY (id),
    CONSTRAINT groups__workspace_id__name UNIQUE (workspace_id, name)
);

CREATE TABLE group_memberships (
    id       UUID        NOT NULL,
    group_id UUID        NOT NULL REFERENCES groups (id),
    user_id  UUID        NOT NULL REFERENCES users (id),
    added_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT group_memberships__id PRIMARY KEY (id),
    CONSTRAINT group_memberships__group_id__user_id UNIQUE (group_id, user_id)
);
CREATE INDEX group_memberships_of_user ON group_memberships (user_id, group_id);

CREATE TABLE resource_permissions (
    id            UUID        NOT NULL,
    service_name  TEXT        NOT NULL,
    resource_type TEXT        NOT NULL,
    resource_id   UUID        NOT NULL,
    workspace_id  UUID        NOT NULL REFERENCES workspaces (id),
    owner_id      UUID REFERENCES users (id),
    visibility    TEXT        NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    CONSTRAINT resource_permissions__id PRIMARY KEY (id),
    CONSTRAINT resource_permissions__service_name__resource_type__resource_id
        UNIQUE (service_name, resource_type, resource_id),
    CONSTRAINT resource_permissions__visibility CHECK (visibility IN ('private', 'workspace'))
);
CREATE INDEX resource_permissions_of_workspace ON resource_permissions (workspace_id, created_at, id);
CREATE INDEX resource_permissions_of_owner ON resource_permissions (owner_id);

CREATE TABLE resource_shares (
    id            UUID        NOT NULL,
    permission_id UUID        NOT NULL REFERENCES resource_permissions (id),
    grantee_type  TEXT        NOT NULL,
    grantee_id    UUID        NOT NULL,  -- a user or a group, as grantee_type says: hence no foreign key
    permission    TEXT        NOT NULL,
    granted_by    UUID REFERENCES users (id) ON DELETE SET NULL,
    granted_at    TIMESTAMPTZ NOT NULL,
    CONSTRAINT resource_shares__id PRIMARY KEY (id),
    CONSTRAINT resource_shares__permission_id__grantee_type__grantee_id
        UNIQUE (permission_id, grantee_type, grantee_id),
    CONSTRAINT resource_shares__grantee_type CHECK (grantee_type IN ('user', 'group')),
    CONSTRAINT resource_shares__permission CHECK (permission IN ('view', 'edit'))
);
CREATE INDEX resource_shares_of_grantee ON resource_shares (grantee_type, grantee_id);

CREATE TABLE client_apps (
    id            UUID        NOT NULL,
    name          TEXT        NOT NULL,
    redirect_uris JSONB       NOT NULL,  -- list of strings
    is_active     BOOLEAN     NOT NULL,
    created_by    UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    CONSTRAINT client_apps__id PRIMARY KEY (id)
);

CREATE TABLE service_apps (
    id                    UUID        NOT NULL,
    name                  TEXT        NOT NULL,
    service_name          TEXT        NOT NULL,
    allowed_origins       JSONB       NOT NULL,  -- list of strings
    allowed_idp_audiences JSONB       NOT NULL,  -- list of strings
    is_active             BOOLEAN     NOT NULL,
    created_by            UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at            TIMESTAMPTZ NOT NULL,
    updated_at            TIMESTAMPTZ NOT NULL,
    CONSTRAINT service_apps__id PRIMARY KEY (id),
    CONSTRAINT service_apps__service_name UNIQUE (service_name)
);

-- At most two live keys for an app: the current one in slot 1, the one before it, with an end, in slot 2. A key that works
-- no more has no slot. Retire slot 2, move 1 to 2, insert the new one in 1: in this order.
CREATE TABLE service_keys (
    id             UUID        NOT NULL,
    service_app_id UUID        NOT NULL REFERENCES service_apps (id),
    slot           BIGINT,
    digest         BYTEA       NOT NULL,  -- SHA-256 of the whole key
    prefix         TEXT        NOT NULL,  -- what people see of it: sk_ab12****
    created_at     TIMESTAMPTZ NOT NULL,
    expires_at     TIMESTAMPTZ,
    last_used_at   TIMESTAMPTZ,           -- written in batches; the edges do not know it
    CONSTRAINT service_keys__id PRIMARY KEY (id),
    CONSTRAINT service_keys__digest UNIQUE (digest),
    CONSTRAINT service_keys__service_app_id__slot UNIQUE (service_app_id, slot),
    CONSTRAINT service_keys__slot CHECK (slot IN (1, 2)),
    CONSTRAINT service_keys__expires_at CHECK (slot IS NULL OR slot = 1 OR expires_at IS NOT NULL)
);

CREATE TABLE edges (
    id           UUID        NOT NULL,
    name         TEXT        NOT NULL,
    key_digest   BYTEA       NOT NULL,  -- SHA-256 of the secret part of the edge key
    created_at   TIMESTAMPTZ NOT NULL,
    revoked_at   TIMESTAMPTZ,
    last_seen_at TIMESTAMPTZ,
    CONSTRAINT edges__id PRIMARY KEY (id),
    CONSTRAINT edges__name UNIQUE (name),
    CONSTRAINT edges__key_digest UNIQUE (key_digest)
);

-- No foreign keys: the audit trail keeps the ids of what is gone.
CREATE TABLE activity_logs (
    id           UUID        NOT NULL,
    action       TEXT        NOT NULL,
    actor_id     UUID,
    target_type  TEXT        NOT NULL,
    target_id    UUID,
    workspace_id UUID,
    detail       JSONB,
    created_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT activity_logs__id PRIMARY KEY (id)
);
CREATE INDEX activity_logs_by_time ON activity_logs (created_at, id);
CREATE INDEX activity_logs_of_workspace ON activity_logs (workspace_id, created_at, id);
CREATE INDEX activity_logs_of_actor ON activity_logs (actor_id, created_at, id);
CREATE INDEX activity_logs_of_target ON activity_logs (target_type, target_id, created_at, id);

CREATE TABLE social_accounts (
    id               UUID        NOT NULL,
    user_id          UUID        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider         TEXT        NOT NULL,
    provider_user_id TEXT        NOT NULL,  -- the provider's subject
    provider_data    JSONB       NOT NULL,
    created_at       TIMESTAMPTZ NOT NULL,
    updated_at       TIMESTAMPTZ NOT NULL,
    CONSTRAINT social_accounts__id PRIMARY KEY (id),
    CONSTRAINT social_accounts__provider__provider_user_id UNIQUE (provider, provider_user_id),
    CONSTRAINT social_accounts__user_id__provider UNIQUE (user_id, provider)
);

CREATE TABLE sessions (
    id                UUID        NOT NULL,  -- sid in tokens, and fid in refresh tokens
    user_id           UUID        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    workspace_id      UUID REFERENCES workspaces (id),  -- null: of the admin panel; ended before its workspace goes
    client_app_id     UUID REFERENCES client_apps (id) ON DELETE SET NULL,
    provider          TEXT        NOT NULL,
    auth_time         TIMESTAMPTZ NOT NULL,
    amr               JSONB       NOT NULL,  -- list of strings (RFC 8176)
    created_at        TIMESTAMPTZ NOT NULL,
    last_refreshed_at TIMESTAMPTZ NOT NULL,
    expires_at        TIMESTAMPTZ NOT NULL,  -- however often it is refreshed
    ended_at          TIMESTAMPTZ,
    end_reason        TEXT,
    ip                TEXT,
    user_agent        TEXT,
    CONSTRAINT sessions__id PRIMARY KEY (id),
    CONSTRAINT sessions__end_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_of_workspace ON sessions (workspace_id, user_id);
CREATE INDEX sessions_of_client_app ON sessions (client_app_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    jti        UUID        NOT NULL,
    session_id UUID        NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at  TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    spent_at   TIMESTAMPTZ,
    successor  UUID,  -- the jti that it was exchanged for
    CONSTRAINT refresh_tokens__jti PRIMARY KEY (jti),
    CONSTRAINT refresh_tokens__successor CHECK ((spent_at IS NULL) = (successor IS NULL))
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

-- No foreign keys: a revocation outlives the session it ended.
CREATE TABLE revocations (
    kind       TEXT        NOT NULL,
    id         UUID        NOT NULL,  -- the session, or the token's jti
    until      TIMESTAMPTZ NOT NULL,  -- when the last token it concerns has expired by itself
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT revocations__kind__id PRIMARY KEY (kind, id),
    CONSTRAINT revocations__kind CHECK (kind IN ('session', 'token'))
);
CREATE INDEX revocations_by_end ON revocations (until);

CREATE TABLE signing_keys (
    kid           TEXT        NOT NULL,  -- RFC 7638 thumbprint
    kind          TEXT        NOT NULL,  -- token: signs JWTs; feed: signs what edges are told
    algorithm     TEXT        NOT NULL,
    public_jwk    TEXT        NOT NULL,  -- a public JWK in JSON
    private_key   BYTEA,                 -- encrypted; null when it may sign no more
    position      BIGINT      NOT NULL,  -- 0 is the one that signs, larger ones are older
    created_at    TIMESTAMPTZ NOT NULL,
    retired_at    TIMESTAMPTZ,           -- since when it signs no more
    publish_until TIMESTAMPTZ,           -- when the last token it signed has expired, and it leaves the published set
    CONSTRAINT signing_keys__kid PRIMARY KEY (kid),
    CONSTRAINT signing_keys__kind_known CHECK (kind IN ('token', 'feed')),
    CONSTRAINT signing_keys__position CHECK (position >= 0),
    CONSTRAINT signing_keys__retired_at CHECK ((position = 0) = (retired_at IS NULL)),
    CONSTRAINT signing_keys__publish_until CHECK ((retired_at IS NULL) = (publish_until IS NULL))
);
-- One key of each kind signs. Shift the old ones first, then insert the new one.
CREATE UNIQUE INDEX signing_keys__kind ON signing_keys (kind) WHERE position = 0;

CREATE TABLE replication_head (
    id       BIGINT NOT NULL,
    epoch    BIGINT NOT NULL,  -- seconds since 1970 at which this history began
    revision BIGINT NOT NULL,
    CONSTRAINT replication_head__id PRIMARY KEY (id),
    CONSTRAINT replication_head__one_row CHECK (id = 1),
    CONSTRAINT replication_head__positive CHECK (epoch >= 0 AND revision >= 0)
);

CREATE TABLE change_log (
    revision   BIGINT      NOT NULL,  -- of the epoch in replication_head
    changes    TEXT        NOT NULL,  -- lines of sentinel_core::Change, joined by a line feed
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT change_log__revision PRIMARY KEY (revision)
);
CREATE INDEX change_log_by_time ON change_log (created_at);
