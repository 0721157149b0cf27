-- Actions that services register, and the roles that grant them (RBAC).
--
-- table            owner     what a row is
-- ---------------- --------- ---------------------------------------------------------------------------------------
-- service_actions  access    an action that a service knows, for example `reports:export`
-- roles            access *  a named set of actions in one workspace
-- role_actions     access *  an action that a role grants
-- user_roles       access *  a user who has a role
-- group_roles      access *  a group whose members have a role
--
-- As in 0001, rows of tables with a * are known to every edge, and no foreign key deletes them behind the program's back.

CREATE TABLE service_actions (
    id           UUID        NOT NULL,
    service_name TEXT        NOT NULL,
    action       TEXT        NOT NULL,
    description  TEXT,
    created_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT service_actions__id PRIMARY KEY (id),
    CONSTRAINT service_actions__service_name__action UNIQUE (service_name, action)
);

CREATE TABLE roles (
    id           UUID        NOT NULL,
    workspace_id UUID        NOT NULL REFERENCES workspaces (id),
    name         TEXT        NOT NULL,
    description  TEXT,
    created_by   UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT roles__id PRIMARY KEY (id),
    CONSTRAINT roles__workspace_id__name UNIQUE (workspace_id, name)
);

CREATE TABLE role_actions (
    id                UUID NOT NULL,
    role_id           UUID NOT NULL REFERENCES roles (id),
    service_action_id UUID NOT NULL REFERENCES service_actions (id),
    CONSTRAINT role_actions__id PRIMARY KEY (id),
    CONSTRAINT role_actions__role_id__service_action_id UNIQUE (role_id, service_action_id)
);
CREATE INDEX role_actions_of_action ON role_actions (service_action_id);

CREATE TABLE user_roles (
    id          UUID        NOT NULL,
    user_id     UUID        NOT NULL REFERENCES users (id),
    role_id     UUID        NOT NULL REFERENCES roles (id),
    assigned_by UUID REFERENCES users (id) ON DELETE SET NULL,
    assigned_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT user_roles__id PRIMARY KEY (id),
    CONSTRAINT user_roles__user_id__role_id UNIQUE (user_id, role_id)
);
CREATE INDEX user_roles_of_role ON user_roles (role_id);

CREATE TABLE group_roles (
    id          UUID        NOT NULL,
    group_id    UUID        NOT NULL REFERENCES groups (id),
    role_id     UUID        NOT NULL REFERENCES roles (id),
    assigned_by UUID REFERENCES users (id) ON DELETE SET NULL,
    assigned_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT group_roles__id PRIMARY KEY (id),
    CONSTRAINT group_roles__group_id__role_id UNIQUE (group_id, role_id)
);
CREATE INDEX group_roles_of_role ON group_roles (role_id);
