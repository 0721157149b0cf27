"""What ends while tokens are still good.

The middlewares verify offline, so there tokens are good until they expire; the control plane refuses at once.
"""

import httpx
from scene import AUTHZ, PROXY, bearer, expect, refused
from sentinel_auth import AuthzClient, PermissionClient, RoleClient

MODES = (PROXY, AUTHZ)


async def run(scene):
    """The last chapter: these people are gone after it."""
    await svc_of_another_service(scene)
    await removed_member(scene)
    await logged_out(scene)
    await switched_off(scene)


async def svc_of_another_service(scene):
    """A token that was made for one service, in the hands of another."""
    async with AuthzClient(scene.control_plane, scene.mail.key) as client:
        token = (await client.resolve(scene.own_id_token, scene.provider, scene.workspace))["authz_token"]
    async with PermissionClient(scene.control_plane, scene.notes.name, scene.notes.key) as client:
        with refused("a check with another service's token", 403):
            await client.can(token, "note", scene.workspace, "view")
        with refused("a search with another service's token", 403):
            await client.search_workspace_members(token, scene.workspace)
    async with RoleClient(scene.control_plane, scene.notes.name, scene.notes.key) as client:
        with refused("an action with another service's token", 403):
            await client.check_action(token, "notes:publish", scene.workspace)


async def denied(scene, mode, token, status=401):
    """Nothing of the control plane answers this token any more."""
    service = scene.service(mode)
    async with PermissionClient(scene.control_plane, service.name, service.key) as client:
        with refused("a check", status):
            await client.can(token, "note", scene.workspace, "view")
        with refused("a lookup", status):
            await client.accessible(token, "note", "view", scene.workspace)
        with refused("a search", status):
            await client.search_workspace_members(token, scene.workspace)
    async with RoleClient(scene.control_plane, service.name, service.key) as client:
        with refused("an action", status):
            await client.check_action(token, f"{service.name}:publish", scene.workspace)
        with refused("a list of actions", status):
            await client.get_user_actions(token, scene.workspace)


async def removed_member(scene):
    dan = scene.dan
    tokens = {mode: await scene.token(mode, dan) for mode in MODES}
    headers = {mode: await scene.headers(mode, dan) for mode in MODES}
    for mode in MODES:
        service = scene.service(mode)
        async with PermissionClient(scene.control_plane, service.name, service.key) as client:
            expect("before", await client.can(tokens[mode], "note", scene.workspace, "view"), False)
    await scene.as_person(scene.ann, "DELETE", f"/workspaces/{scene.workspace}/members/{dan.id}", status=204)
    for mode in MODES:
        await denied(scene, mode, tokens[mode])
        async with httpx.AsyncClient(base_url=scene.service(mode).url, headers=headers[mode]) as client:
            expect("offline, until it expires", (await client.get("/me")).status_code, 200)
            expect("what asks the control plane", (await client.get("/members")).status_code, 401)
            expect("an action", (await client.post("/publications")).status_code, 401)
    async with AuthzClient(scene.control_plane, scene.notes.key) as client:
        expect("no workspaces", (await client.resolve(dan.id_token, scene.provider))["workspaces"], [])
        with refused("a new token", 403):
            await client.resolve(dan.id_token, scene.provider, scene.workspace)
    await refreshed(scene, dan, 401)


async def refreshed(scene, person, status):
    answer = await scene.http.post("/auth/refresh", json={"refresh_token": person.refresh})
    expect(f"a refresh ({answer.text})", answer.status_code, status)


async def logged_out(scene):
    vic = scene.vic
    await scene.as_person(vic, "POST", "/auth/logout")
    await denied(scene, PROXY, vic.access)
    await refreshed(scene, vic, 401)
    # In authz mode the login is the application's own: it may come back.
    again = await scene.token(AUTHZ, vic)
    async with PermissionClient(scene.control_plane, scene.notes.name, scene.notes.key) as client:
        expect("a new token", await client.can(again, "note", scene.workspace, "view"), False)


async def switched_off(scene):
    """A service app that is switched off, and a user."""
    ed = scene.ed
    tokens = {mode: await scene.token(mode, ed) for mode in MODES}
    await scene.admin("PATCH", f"/admin/users/{ed.id}", {"is_active": False})
    for mode in MODES:
        await denied(scene, mode, tokens[mode])
    async with AuthzClient(scene.control_plane, scene.notes.key) as client:
        with refused("a token for somebody who is switched off", 403):
            await client.resolve(ed.id_token, scene.provider, scene.workspace)
    await scene.admin("PATCH", f"/admin/service-apps/{scene.docs.id}", {"is_active": False})
    async with PermissionClient(scene.control_plane, scene.docs.name, scene.docs.key) as client:
        with refused("a service that is switched off", 401):
            await client.can(scene.ann.access, "note", scene.workspace, "view")
    async with httpx.AsyncClient(base_url=scene.docs.url, headers=bearer(scene.ann.access)) as client:
        expect("its own requests", (await client.get("/notes")).status_code, 401)
