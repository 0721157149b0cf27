"""The services that run: `Sentinel` with its lifespan, its dependencies and its router."""

import uuid

import httpx
from scene import AUTHZ, PROXY, bearer, expect, expect_fields

NOTE = "note"


async def run(scene, mode):
    """One service, from its users' side."""
    people = (scene.ann, scene.ed, scene.vic)
    carried = {person.email: await scene.headers(mode, person) for person in people}
    async with httpx.AsyncClient(base_url=scene.service(mode).url) as client:

        async def ask(person, method, path, body=None, status=200):
            answer = await client.request(method, path, json=body, headers=carried[person.email])
            expect(f"{person.email} {method} {path} ({answer.text})", answer.status_code, status)
            return answer.json()

        health = (await client.get("/health")).json()
        expect("the scope of the service", health, {"scope": scene.service(mode).name, "realm": None})
        await identity(scene, mode, ask)
        await notes(scene, ask)
        await directory(scene, mode, ask)
        await actions(scene, mode, ask)
        await nobody(scene, mode, client)
        if mode == AUTHZ:
            await router(scene, client, carried)


async def identity(scene, mode, ask):
    expect_fields(
        "the user",
        await ask(scene.ed, "GET", "/me"),
        user_id=str(scene.ed.id),
        email=scene.ed.email,
        name=scene.ed.name,
        workspace_id=str(scene.workspace),
        workspace_slug=scene.workspace_slug,
        workspace_role="editor",
        is_admin=False,
        is_editor=True,
    )
    expect_fields(
        "the user with capabilities",
        await ask(scene.ann, "GET", "/auth"),
        user_id=str(scene.ann.id),
        email=scene.ann.email,
        name=scene.ann.name,
        workspace_id=str(scene.workspace),
        workspace_role="owner",
        is_admin=True,
        is_editor=True,
        at_least_editor=True,
    )
    expected = {
        "id": str(scene.workspace),
        "slug": scene.workspace_slug,
        "user": str(scene.vic.id),
        "role": "viewer",
    }
    expect("the workspace", await ask(scene.vic, "GET", "/workspace"), expected)
    await ask(scene.ed, "GET", "/editors")
    await ask(scene.vic, "GET", "/editors", status=403)


async def notes(scene, ask):
    note = str(uuid.uuid4())
    made = await ask(scene.vic, "POST", "/notes", {"id": note, "visibility": "private"}, 201)
    expect_fields(
        "the note", made, owner_id=str(scene.vic.id), workspace_id=str(scene.workspace), visibility="private"
    )
    expect("the owner's edit", await ask(scene.vic, "GET", f"/notes/{note}/edit"), {"allowed": True})
    expect("somebody else's view", await ask(scene.ed, "GET", f"/notes/{note}/view"), {"allowed": False})

    share = {"grantee_type": "user", "grantee_id": str(scene.ed.id), "permission": "view"}
    await ask(scene.ed, "POST", f"/notes/{note}/shares", share, 403)
    expect("the share", await ask(scene.vic, "POST", f"/notes/{note}/shares", share), {"status": "ok"})
    expect("view by the share", await ask(scene.ed, "GET", f"/notes/{note}/view"), {"allowed": True})
    expect("edit by the share", await ask(scene.ed, "GET", f"/notes/{note}/edit"), {"allowed": False})
    listed = await ask(scene.ed, "GET", "/notes")
    expect("the list by the share", (note in listed["ids"], listed["everything"]), (True, False))
    listed = await ask(scene.ed, "GET", "/notes?action=edit&limit=10000")
    expect("the list of what may be edited", note in listed["ids"], False)
    expect("the owner's list", (await ask(scene.ann, "GET", "/notes"))["everything"], True)

    acl = await ask(scene.vic, "GET", f"/acl/{note}")
    expect(
        "the shares",
        [(s["grantee_id"], s["permission"]) for s in acl["shares"]],
        [(str(scene.ed.id), "view")],
    )
    enriched = await ask(scene.vic, "GET", f"/acl/{note}?enriched=true")
    expect("the grantee's address", enriched["shares"][0]["grantee_email"], scene.ed.email)

    await ask(scene.vic, "POST", f"/notes/{note}/unshare", share)
    expect("view after its end", await ask(scene.ed, "GET", f"/notes/{note}/view"), {"allowed": False})
    changed = await ask(scene.vic, "PATCH", f"/notes/{note}", {"visibility": "workspace"})
    expect_fields("the note for all", changed, visibility="workspace")
    expect("view by everybody", await ask(scene.ed, "GET", f"/notes/{note}/view"), {"allowed": True})
    await ask(scene.vic, "GET", f"/acl/{uuid.uuid4()}", status=404)


async def directory(scene, mode, ask):
    found = await ask(scene.vic, "GET", "/members?q=ann@")
    expect("the member found", [member["user_id"] for member in found], [str(scene.ann.id)])
    everybody = await ask(scene.vic, "GET", "/members")
    expect(
        "everybody",
        {str(p.id) for p in (scene.ann, scene.ed, scene.vic)} <= {m["user_id"] for m in everybody},
        True,
    )
    expect("one of them", len(await ask(scene.vic, "GET", "/members?limit=1")), 1)
    group = await scene.as_person(
        scene.ann, "POST", f"/workspaces/{scene.workspace}/groups", {"name": f"readers in {mode} mode"}, 201
    )
    expect("the group", group["id"] in {g["id"] for g in await ask(scene.vic, "GET", "/groups")}, True)
    expect("its members", await ask(scene.vic, "GET", f"/groups/{group['id']}/members"), [])


async def actions(scene, mode, ask):
    """The service registered its actions when it started."""
    service = scene.service(mode).name
    registered = await scene.admin("GET", f"/admin/service-actions?service_name={service}")
    publish = f"{service}:publish"
    [action] = [action for action in registered if action["action"] == publish]
    expect_fields("the registered action", action, service_name=service, description="Make public")
    body = await ask(scene.ed, "POST", "/publications", status=403)
    expect("the refusal", body, {"detail": f"Action '{publish}' not permitted"})
    expect("the same question", await ask(scene.ed, "GET", f"/actions/{publish}"), {"allowed": False})

    role = await scene.admin(
        "POST", f"/admin/workspaces/{scene.workspace}/roles", {"name": f"Press of {service}"}, 201
    )
    ids = {"service_action_ids": [action["id"]]}
    await scene.admin("POST", f"/admin/roles/{role['id']}/actions", ids, 201)
    await scene.admin("POST", f"/admin/roles/{role['id']}/members/{scene.ed.id}", None, 201)
    published = await ask(scene.ed, "POST", "/publications")
    expect("the publication", published, {"published_by": str(scene.ed.id)})
    expect("the question again", await ask(scene.ed, "GET", f"/actions/{publish}"), {"allowed": True})
    await ask(scene.ann, "POST", "/publications", status=403)
    await scene.admin("DELETE", f"/admin/roles/{role['id']}", status=204)
    await ask(scene.ed, "POST", "/publications", status=403)


async def nobody(scene, mode, client):
    """Requests that the middleware does not let through."""
    expect("without a token", (await client.get("/me")).status_code, 401)
    expect("the system without a token", (await client.get("/system")).status_code, 401)
    answer = await client.get("/system", headers=bearer(scene.ann.access))
    # A user's token is no system's. In proxy mode the client has no key to find that out with.
    expect("the system with a user's token", answer.status_code, 503 if mode == PROXY else 401)
    if mode == PROXY:
        answer = await client.get("/me", headers=bearer(scene.nora.access))
        expect("a member of another workspace", answer.status_code, 403)
        answer = await client.get("/me", headers=bearer(await scene.token(AUTHZ, scene.ann)))
        expect("a token of another audience", answer.status_code, 401)
        return
    ann, vic = await scene.token(AUTHZ, scene.ann), await scene.token(AUTHZ, scene.vic)
    for id_token, authz_token, what in (
        (scene.ann.id_token, vic, "somebody else's authz token"),
        (scene.ann.id_token, scene.ann.access, "an access token as authz token"),
        (scene.foreign_id_token, ann, "a token for another client of the provider"),
    ):
        answer = await client.get("/me", headers={**bearer(id_token), "X-Authz-Token": authz_token})
        expect(what, answer.status_code, 401)


async def router(scene, client, carried):
    """A browser that reaches Sentinel through its application only."""
    body = {"idp_token": scene.vic.id_token, "provider": scene.provider}
    listed = await client.post("/sentinel/authz/resolve", json=body)
    expect("the workspaces", [w["id"] for w in listed.json()["workspaces"]], [str(scene.workspace)])
    body["workspace_id"] = str(scene.workspace)
    # A browser sends what it has; only the key counts.
    minted = await client.post("/sentinel/authz/resolve", json=body, headers=bearer(scene.vic.id_token))
    expect(f"a token ({minted.text})", minted.status_code, 200)
    headers = {**bearer(scene.vic.id_token), "X-Authz-Token": minted.json()["authz_token"]}

    async def read(path, status=200, headers=headers):
        answer = await client.get(f"/sentinel{path}", headers=headers)
        expect(f"{path} ({answer.text})", answer.status_code, status)
        return answer.json()

    expect_fields("the profile", await read("/users/me"), id=str(scene.vic.id), email=scene.vic.email)
    [found] = await read(f"/workspaces/{scene.workspace}/members?q=ann@")
    expect("the member found", found["user_id"], str(scene.ann.id))
    resolved = await client.get("/resolved", headers=headers)
    expect("what the service finds out itself", resolved.json(), listed.json())
    groups = await read(f"/workspaces/{scene.workspace}/groups")
    for group in groups:
        await read(f"/workspaces/{scene.workspace}/groups/{group['id']}/members")
    expect("there are groups", bool(groups), True)
    await read(f"/workspaces/{scene.other_workspace}/members", 403)
    await read("/users/me", 401, {})
    await read("/users/me", 401, bearer(scene.vic.id_token))
    await read("/users/me", 200, carried[scene.ed.email])
