"""Every method of `PermissionClient`, with the tokens of either mode."""

import asyncio
import uuid

from scene import claims, expect, expect_fields, refused
from sentinel_auth.permissions import PermissionCheck, PermissionClient

NOTE = "note"


async def run(scene, mode):
    """The whole life of resources, and what is refused."""
    people = ("ann", "ed", "vic", "nora")
    tokens = dict(
        zip(
            people,
            await asyncio.gather(*(scene.token(mode, scene.people[name]) for name in people)),
            strict=True,
        )
    )
    service = scene.service(mode)
    async with PermissionClient(scene.control_plane, service.name, service.key) as client:
        note = await registered(scene, service, client)
        await private(client, tokens, note)
        await shared_with_a_user(scene, client, tokens, note)
        await shared_with_a_group(scene, mode, client, tokens, note)
        await visible_in_the_workspace(client, tokens, note)
        await directory(scene, client, tokens)
        await misuse(scene, client, tokens, note)
        await deregistered(client, tokens, note)
    await strangers(scene, mode, tokens)
    await cached(scene, service, tokens)


async def registered(scene, service, client):
    note = uuid.uuid4()
    made = await client.register_resource(NOTE, note, scene.workspace, scene.ann.id, "private")
    expect_fields(
        "what was registered",
        made,
        service_name=service.name,
        resource_type=NOTE,
        resource_id=str(note),
        workspace_id=str(scene.workspace),
        owner_id=str(scene.ann.id),
        visibility="private",
        shares=[],
    )
    again = await client.register_resource(NOTE, note, scene.workspace, scene.ed.id)
    expect("a second registration", again, made)
    expect("what is registered", await client.get_resource_acl(NOTE, note), made)
    with refused("an owner from another workspace", 400):
        await client.register_resource(NOTE, uuid.uuid4(), scene.workspace, scene.nora.id)
    return note


async def private(client, tokens, note):
    for action in ("view", "edit"):
        expect(f"the owner's {action}", await client.can(tokens["ann"], NOTE, note, action), True)
        expect(f"an editor's {action}", await client.can(tokens["ed"], NOTE, note, action), False)
    expect("what a viewer reaches", await reached(client, tokens["vic"], note), ([], False))
    for stranger in ("vic", "nora"):
        expect(f"{stranger}'s view", await client.can(tokens[stranger], NOTE, note, "view"), False)


async def reached(client, token, note, action="view"):
    """The answer of `accessible`, as far as it is about this one note: other chapters have notes too."""
    ids, everything = await client.accessible(token, NOTE, action, uuid.UUID(claims(token)["wid"]))
    return [id for id in ids if id == note], everything


async def shared_with_a_user(scene, client, tokens, note):
    vic = tokens["vic"]
    shared = await client.share(tokens["ann"], NOTE, note, "user", scene.vic.id)
    expect("the answer to a share", shared, {"status": "ok"})
    results = await client.check(
        vic,
        [
            PermissionCheck(client.service_name, NOTE, note, "view"),
            PermissionCheck(client.service_name, NOTE, note, "edit"),
            PermissionCheck(client.service_name, NOTE, uuid.uuid4(), "view"),
        ],
    )
    expect(
        "a batch of checks",
        [(r.action, r.allowed) for r in results],
        [("view", True), ("edit", False), ("view", False)],
    )
    expect("the resource of a result", (results[0].resource_id, results[0].resource_type), (note, NOTE))
    expect("no checks", await client.check(vic, []), [])
    expect("what is reached by a share", await reached(client, vic, note), ([note], False))
    expect("what may be edited by a share to view", await reached(client, vic, note, "edit"), ([], False))
    expect(
        "everything is an owner's",
        await client.accessible(tokens["ann"], NOTE, "view", scene.workspace),
        ([], True),
    )
    some, everything = await client.accessible(tokens["ann"], NOTE, "view", scene.workspace, limit=1)
    expect("one of everything", (len(some), everything), (1, True))

    await client.share(tokens["ann"], NOTE, note, "user", scene.vic.id, "edit")
    expect("edit after another share", await client.can(vic, NOTE, note, "edit"), True)
    acl = await client.get_resource_acl(NOTE, note)
    expect("one share, not two", len(acl["shares"]), 1)
    expect_fields(
        "the share",
        acl["shares"][0],
        grantee_type="user",
        grantee_id=str(scene.vic.id),
        permission="edit",
        granted_by=str(scene.ann.id),
    )
    enriched = await client.get_enriched_resource_acl(NOTE, note)
    expect_fields(
        "the owner's profile", enriched, id=acl["id"], owner_name=scene.ann.name, owner_email=scene.ann.email
    )
    expect_fields(
        "the grantee's profile",
        enriched["shares"][0],
        grantee_name=scene.vic.name,
        grantee_email=scene.vic.email,
        granted_by_name=scene.ann.name,
    )

    await client.unshare(tokens["ann"], NOTE, note, "user", scene.vic.id, "edit")
    expect("view after the share was taken back", await client.can(vic, NOTE, note, "view"), False)
    with refused("a share that is not there", 404):
        await client.unshare(tokens["ann"], NOTE, note, "user", scene.vic.id)


async def shared_with_a_group(scene, mode, client, tokens, note):
    group = await scene.as_person(
        scene.ann, "POST", f"/workspaces/{scene.workspace}/groups", {"name": f"writers in {mode} mode"}, 201
    )
    path = f"/workspaces/{scene.workspace}/groups/{group['id']}"
    await scene.as_person(scene.ann, "POST", f"{path}/members/{scene.ed.id}", None, 201)
    listed = await client.list_groups(tokens["vic"], scene.workspace)
    expect("the group in the list", [g["name"] for g in listed if g["id"] == group["id"]], [group["name"]])
    members = await client.get_group_members(tokens["vic"], scene.workspace, group["id"])
    expect("its members", [(m["user_id"], m["email"]) for m in members], [(str(scene.ed.id), scene.ed.email)])

    await client.share(tokens["ann"], NOTE, note, "group", group["id"])
    # Neither token lists the group: it was made after the one, and the other never carries any.
    expect("view through the group", await client.can(tokens["ed"], NOTE, note, "view"), True)
    expect("edit through the group", await client.can(tokens["ed"], NOTE, note, "edit"), False)
    expect("what the group reaches", await reached(client, tokens["ed"], note), ([note], False))
    expect("view outside of the group", await client.can(tokens["vic"], NOTE, note, "view"), False)
    await client.unshare(tokens["ann"], NOTE, note, "group", group["id"])
    expect(
        "view after the group's share was taken back",
        await client.can(tokens["ed"], NOTE, note, "view"),
        False,
    )
    with refused("a group of nobody", 404):
        await client.get_group_members(tokens["vic"], scene.workspace, uuid.uuid4())


async def visible_in_the_workspace(client, tokens, note):
    changed = await client.update_visibility(tokens["ann"], NOTE, note, "workspace")
    expect_fields("the changed visibility", changed, visibility="workspace", resource_id=str(note))
    for name, action, allowed in (
        ("vic", "view", True),
        ("vic", "edit", False),
        ("ed", "edit", True),
        ("nora", "view", False),
    ):
        expect(f"{name}'s {action}", await client.can(tokens[name], NOTE, note, action), allowed)
    await client.update_visibility(tokens["ann"], NOTE, note, "private")
    expect("view when private again", await client.can(tokens["vic"], NOTE, note, "view"), False)


async def directory(scene, client, tokens):
    members = await client.search_workspace_members(tokens["vic"], scene.workspace)
    found = {(member["email"], member["role"]) for member in members}
    expect(
        "who can be shared with", found >= {(p.email, p.role) for p in (scene.ann, scene.ed, scene.vic)}, True
    )
    [ed] = await client.search_workspace_members(tokens["vic"], scene.workspace, query="ED@EXAMPLE")
    expect_fields("the member found", ed, user_id=str(scene.ed.id), name=scene.ed.name, role="editor")
    some = await client.search_workspace_members(tokens["vic"], scene.workspace, limit=1)
    expect("one member", len(some), 1)
    expect(
        "a wildcard finds nobody",
        await client.search_workspace_members(tokens["vic"], scene.workspace, "%"),
        [],
    )


async def misuse(scene, client, tokens, note):
    """What a member, or the service itself, may not do."""
    with refused("a share by somebody else", 403):
        await client.share(tokens["vic"], NOTE, note, "user", scene.vic.id, "edit")
    with refused("a share from another workspace", 403):
        await client.share(tokens["nora"], NOTE, note, "user", scene.nora.id)
    with refused("a share to a stranger", 400):
        await client.share(tokens["ann"], NOTE, note, "user", scene.nora.id)
    with refused("a share to a group of nobody", 400):
        await client.share(tokens["ann"], NOTE, note, "group", uuid.uuid4())
    with refused("a permission that there is not", 422):
        await client.share(tokens["ann"], NOTE, note, "user", scene.vic.id, "own")
    with refused("an action that there is not", 422):
        await client.can(tokens["ann"], NOTE, note, "destroy")
    with refused("a lookup in another workspace", 403):
        await client.accessible(tokens["nora"], NOTE, "view", scene.workspace)
    for read in (client.search_workspace_members, client.list_groups):
        with refused(f"{read.__name__} in another workspace", 403):
            await read(tokens["nora"], scene.workspace)
    with refused("a visibility that there is not", 422):
        await client.update_visibility(tokens["ann"], NOTE, note, "public")


async def deregistered(client, tokens, note):
    expect("the answer to the removal", await client.deregister_resource(NOTE, note), None)
    expect("the owner's view of what is gone", await client.can(tokens["ann"], NOTE, note, "view"), False)
    for what in (client.get_resource_acl, client.get_enriched_resource_acl, client.deregister_resource):
        with refused(f"{what.__name__} of what is gone", 404):
            await what(NOTE, note)


async def strangers(scene, mode, tokens):
    """Callers who are not the service, and users who are nobody."""
    service = scene.service(mode)
    some = uuid.uuid4()
    for key in (None, "sk_" + "x" * 43):
        async with PermissionClient(scene.control_plane, service.name, key) as client:
            with refused("a check without a good key", 401):
                await client.can(tokens["ann"], NOTE, some, "view")
            with refused("a registration without a good key", 401):
                await client.register_resource(NOTE, some, scene.workspace, scene.ann.id)
    async with PermissionClient(scene.control_plane, "somebody-else", service.key) as client:
        with refused("a check in another scope", 403):
            await client.can(tokens["ann"], NOTE, some, "view")
        with refused("an ACL of another scope", 403):
            await client.get_resource_acl(NOTE, some)
    async with PermissionClient(scene.control_plane, service.name, service.key) as client:
        for token in ("nonsense", scene.ann.id_token, scene.ann.refresh, tokens["ann"][:-8] + "AAAAAAAA"):
            with refused("a check with a token that is none", 401):
                await client.can(token, NOTE, some, "view")
        expect("the name without the key", service.key in repr(client), False)
    await client.close()


async def cached(scene, service, tokens):
    """The client's own cache forgets with each write that goes through it."""
    note = uuid.uuid4()
    async with PermissionClient(scene.control_plane, service.name, service.key, cache_ttl=60) as client:
        await client.register_resource(NOTE, note, scene.workspace, scene.ann.id, "private")
        expect("view before the share", await client.can(tokens["vic"], NOTE, note, "view"), False)
        await client.share(tokens["ann"], NOTE, note, "user", scene.vic.id)
        for _ in range(2):
            expect("view after the share", await client.can(tokens["vic"], NOTE, note, "view"), True)
        await client.unshare(tokens["ann"], NOTE, note, "user", scene.vic.id)
        expect("view after its end", await client.can(tokens["vic"], NOTE, note, "view"), False)
        await client.deregister_resource(NOTE, note)
