"""A service as its authors write it with the published client, in proxy mode or in authz mode.

python service.py SETTINGS.json
"""

import json
import sys
import uuid

import uvicorn
from calls import Calls
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sentinel_auth import (
    AuthenticatedUser,
    RequestAuth,
    Sentinel,
    SentinelError,
    SystemAuth,
    WorkspaceContext,
)
from sentinel_auth.dependencies import get_workspace_context, get_workspace_id, require_role

NOTE = "note"


class NewNote(BaseModel):
    """A note that is to be registered."""

    id: uuid.UUID
    visibility: str = "workspace"


class Share(BaseModel):
    """To whom a note is shared."""

    grantee_type: str
    grantee_id: uuid.UUID
    permission: str = "view"


class Visibility(BaseModel):
    """Who may see a note without a share."""

    visibility: str


def make_sentinel(settings):
    """The client, set up as the settings say."""
    common = {
        "base_url": settings["control_plane"],
        "service_name": settings["service_name"],
        "service_key": settings["service_key"],
        "actions": settings["actions"],
    }
    if settings["mode"] == "proxy":
        return Sentinel(mode="proxy", allowed_workspaces=set(settings["allowed_workspaces"]), **common)
    return Sentinel(
        mode="authz",
        idp_jwks_url=settings["idp_jwks_url"],
        idp_audience=settings["idp_audience"],
        idp_issuer=settings["idp_issuer"],
        **common,
    )


def make_app(settings, calls):
    """The service."""
    sentinel = make_sentinel(settings)
    app = FastAPI(lifespan=sentinel.lifespan)
    sentinel.protect(app, exclude_paths=["/health", "/calls", "/system", "/sentinel"])
    app.include_router(sentinel.proxy_router(), prefix="/sentinel")
    allowed = sentinel.require_action(settings["actions"][0]["action"])
    auth_of = sentinel.get_auth

    @app.exception_handler(SentinelError)
    async def refused(_request: Request, error: SentinelError):
        return JSONResponse({"detail": str(error)}, status_code=error.status_code or 502)

    @app.get("/health")
    async def health():
        return {"scope": sentinel.effective_scope, "realm": sentinel.realm}

    @app.get("/calls")
    async def called():
        return sorted(calls.seen)

    @app.get("/system")
    async def system(auth: SystemAuth = Depends(sentinel.require_system)):
        return {"caller": auth.caller}

    @app.get("/me")
    async def me(user: AuthenticatedUser = Depends(sentinel.require_user)):
        return {
            "user_id": user.user_id,
            "email": user.email,
            "name": user.name,
            "workspace_id": user.workspace_id,
            "workspace_slug": user.workspace_slug,
            "workspace_role": user.workspace_role,
            "groups": user.groups,
            "is_admin": user.is_admin,
            "is_editor": user.is_editor,
        }

    @app.get("/auth")
    async def auth(auth: RequestAuth = Depends(auth_of)):
        return {
            "user_id": auth.user_id,
            "email": auth.email,
            "name": auth.name,
            "workspace_id": auth.workspace_id,
            "workspace_role": auth.workspace_role,
            "groups": auth.groups,
            "org": [auth.org_id, auth.org_slug, auth.org_is_public],
            "is_admin": auth.is_admin,
            "is_editor": auth.is_editor,
            "at_least_editor": auth.has_role("editor"),
        }

    @app.get("/resolved")
    async def resolved(request: Request):
        return await sentinel.authz.resolve(request.state.idp_token, settings["provider"])

    @app.get("/workspace")
    async def workspace(
        id: uuid.UUID = Depends(get_workspace_id), context: WorkspaceContext = Depends(get_workspace_context)
    ):
        return {"id": id, "slug": context.workspace_slug, "user": context.user_id, "role": context.role}

    @app.get("/editors")
    async def editors(user: AuthenticatedUser = Depends(require_role("editor"))):
        return {"user_id": user.user_id}

    @app.post("/publications")
    async def publish(user: AuthenticatedUser = Depends(allowed)):
        return {"published_by": user.user_id}

    @app.get("/actions/{action}")
    async def may(action: str, auth: RequestAuth = Depends(auth_of)):
        return {"allowed": await auth.check_action(action)}

    @app.post("/notes", status_code=201)
    async def create(note: NewNote, auth: RequestAuth = Depends(auth_of)):
        return await auth.register_resource(NOTE, note.id, note.visibility)

    @app.get("/notes")
    async def readable(action: str = "view", limit: int | None = None, auth: RequestAuth = Depends(auth_of)):
        ids, everything = await auth.accessible(NOTE, action, limit)
        return {"ids": ids, "everything": everything}

    @app.get("/notes/{id}/{action}")
    async def can(id: uuid.UUID, action: str, auth: RequestAuth = Depends(auth_of)):
        return {"allowed": await auth.can(NOTE, id, action)}

    @app.post("/notes/{id}/shares")
    async def share(id: uuid.UUID, share: Share, auth: RequestAuth = Depends(auth_of)):
        return await auth.share(NOTE, id, share.grantee_type, share.grantee_id, share.permission)

    @app.post("/notes/{id}/unshare")
    async def unshare(id: uuid.UUID, share: Share, auth: RequestAuth = Depends(auth_of)):
        return await auth.unshare(NOTE, id, share.grantee_type, share.grantee_id)

    @app.patch("/notes/{id}")
    async def show(id: uuid.UUID, change: Visibility, auth: RequestAuth = Depends(auth_of)):
        return await auth.update_visibility(NOTE, id, change.visibility)

    @app.get("/acl/{id}")
    async def acl(id: uuid.UUID, enriched: bool = False, auth: RequestAuth = Depends(auth_of)):
        return await (auth.get_enriched_resource_acl if enriched else auth.get_resource_acl)(NOTE, id)

    @app.get("/members")
    async def members(q: str | None = None, limit: int | None = None, auth: RequestAuth = Depends(auth_of)):
        return await (auth.search_members(q, limit) if q else auth.list_members(limit))

    @app.get("/groups")
    async def groups(auth: RequestAuth = Depends(auth_of)):
        return await auth.list_groups()

    @app.get("/groups/{id}/members")
    async def group_members(id: uuid.UUID, auth: RequestAuth = Depends(auth_of)):
        return await auth.get_group_members(id)

    return app


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    calls = Calls()
    calls.record()
    app = make_app(settings, calls)
    uvicorn.run(app, host="127.0.0.1", port=settings["port"], lifespan="on", log_level="warning")


if __name__ == "__main__":
    main()
