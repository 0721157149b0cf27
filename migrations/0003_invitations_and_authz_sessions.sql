-- Invitations of addresses without an account, addresses that were vouched for, sessions of AuthZ mode, sign-ins that were
-- overtaken by a sign-out, and the replay of a lost answer to a refresh.
--
-- table       owner   what a row is
-- ----------- ------- -----------------------------------------------------------------------------------------------
-- invitations access  an address that becomes a member of a workspace at its first verified sign-in

CREATE TABLE invitations (
    id               UUID        NOT NULL,
    workspace_id     UUID        NOT NULL REFERENCES workspaces (id),
    email            TEXT        NOT NULL,  -- as it was typed
    email_key        TEXT        NOT NULL,  -- sentinel_core::EmailKey
    role             TEXT        NOT NULL,
    invited_by       UUID REFERENCES users (id) ON DELETE SET NULL,
    by_administrator BOOLEAN     NOT NULL,  -- of the installation: needs no role in the workspace
    created_at       TIMESTAMPTZ NOT NULL,
    expires_at       TIMESTAMPTZ NOT NULL,
    CONSTRAINT invitations__id PRIMARY KEY (id),
    CONSTRAINT invitations__workspace_id__email_key UNIQUE (workspace_id, email_key),
    CONSTRAINT invitations__role CHECK (role IN ('owner', 'admin', 'editor', 'viewer'))
);
CREATE INDEX invitations_of_address ON invitations (email_key);

-- When a provider vouched for the address; null while none has. Until this step every account was made with an address
-- that its provider vouched for.
ALTER TABLE users ADD COLUMN email_verified_at TIMESTAMPTZ;
UPDATE users SET email_verified_at = created_at;

-- When all sessions of the user were ended at once: a sign-in from before then gives no session any more.
ALTER TABLE users ADD COLUMN signed_out_at TIMESTAMPTZ;

-- When the answer that spent the token was sent a second time, because the first was lost. It is sent once more, not twice.
ALTER TABLE refresh_tokens ADD COLUMN replayed_at TIMESTAMPTZ;

-- A session of AuthZ mode belongs to a service app: it has no refresh tokens, and its tokens are made by `/authz/resolve`.
ALTER TABLE sessions ADD COLUMN service_app_id UUID REFERENCES service_apps (id) ON DELETE SET NULL;
CREATE INDEX sessions_of_service_app ON sessions (service_app_id);
-- One live session of a user in a workspace for each service app, however often a token is made.
CREATE UNIQUE INDEX sessions__user_id__workspace_id__service_app_id
    ON sessions (user_id, workspace_id, service_app_id)
    WHERE service_app_id IS NOT NULL AND ended_at IS NULL;

-- Administrators page through all users, newest first.
CREATE INDEX users_by_time ON users (created_at, id);
