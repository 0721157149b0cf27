"""Every method of `RoleClient`, with the tokens of either mode; roles are made in the admin API."""

import uuid

from scene import expect, expect_fields, refused
from sentinel_auth import RoleClient

EXPORT = "reports:export"
IMPORT = "reports:import"


async def run(scene, mode):
    """From the registration of actions to the end of a role."""
    service = scene.service(mode)
    async with RoleClient(scene.control_plane, service.name, service.key) as client:
        actions = await registered(service, client)
        role = await scene.admin(
            "POST", f"/admin/workspaces/{scene.workspace}/roles", {"name": f"Reporters in {mode} mode"}, 201
        )
        await held_by_a_member(scene, mode, client, role, actions)
        await held_by_a_group(scene, mode, client, role)
        await misuse(scene, mode, client)
        await scene.admin("DELETE", f"/admin/roles/{role['id']}", status=204)
    await strangers(scene, mode)


async def registered(service, client):
    made = await client.register_actions(
        [
            {"action": IMPORT, "description": "Read reports in"},
            {"action": EXPORT, "description": "Write reports out"},
            {"action": EXPORT},
        ]
    )
    found = [(action["service_name"], action["action"], action["description"]) for action in made]
    expected = [(service.name, EXPORT, "Write reports out"), (service.name, IMPORT, "Read reports in")]
    expect("the registered actions, sorted and each once", found, expected)
    again = await client.register_actions([{"action": EXPORT, "description": "Write them out"}])
    expect("the same action", [action["id"] for action in again], [made[0]["id"]])
    expect_fields("its new description", again[0], description="Write them out")
    return {action["action"]: action["id"] for action in made}


async def held_by_a_member(scene, mode, client, role, actions):
    ed, ann = await scene.token(mode, scene.ed), await scene.token(mode, scene.ann)
    workspace = scene.workspace
    expect("an action without a role", await client.check_action(ed, EXPORT, workspace), False)
    expect("actions without a role", await granted(client, ed, workspace), [])
    body = {"service_action_ids": list(actions.values())}
    await scene.admin("POST", f"/admin/roles/{role['id']}/actions", body, 201)
    await scene.admin("POST", f"/admin/roles/{role['id']}/members/{scene.ed.id}", None, 201)
    for action in actions:
        expect(f"{action} by the role", await client.check_action(ed, action, workspace), True)
    expect("the actions of the role", await granted(client, ed, workspace), sorted(actions))
    expect("an action of nobody", await client.check_action(ed, "reports:burn", workspace), False)
    # The rank in the workspace gives no actions.
    expect("the owner without a role", await client.check_action(ann, EXPORT, workspace), False)

    await scene.admin("DELETE", f"/admin/roles/{role['id']}/actions/{actions[IMPORT]}", status=204)
    expect("an action that left the role", await client.check_action(ed, IMPORT, workspace), False)
    expect("an action that stayed", await client.check_action(ed, EXPORT, workspace), True)
    await scene.admin("DELETE", f"/admin/roles/{role['id']}/members/{scene.ed.id}", status=204)
    expect("the role that was taken away", await client.check_action(ed, EXPORT, workspace), False)
    expect("its actions", await granted(client, ed, workspace), [])


async def held_by_a_group(scene, mode, client, role):
    group = await scene.as_person(
        scene.ann, "POST", f"/workspaces/{scene.workspace}/groups", {"name": f"reporters in {mode} mode"}, 201
    )
    path = f"/workspaces/{scene.workspace}/groups/{group['id']}"
    vic = await scene.token(mode, scene.vic)
    await scene.admin("POST", f"/admin/roles/{role['id']}/groups/{group['id']}", None, 201)
    expect(
        "an action before the group is entered",
        await client.check_action(vic, EXPORT, scene.workspace),
        False,
    )
    await scene.as_person(scene.ann, "POST", f"{path}/members/{scene.vic.id}", None, 201)
    expect("an action through the group", await client.check_action(vic, EXPORT, scene.workspace), True)
    expect("the actions of the group", await granted(client, vic, scene.workspace), [EXPORT])
    await scene.admin("DELETE", f"/admin/roles/{role['id']}/groups/{group['id']}", status=204)
    expect("the group without the role", await client.check_action(vic, EXPORT, scene.workspace), False)


async def granted(client, token, workspace):
    return sorted(
        action for action in await client.get_user_actions(token, workspace) if action in (EXPORT, IMPORT)
    )


async def misuse(scene, mode, client):
    ed = await scene.token(mode, scene.ed)
    with refused("a check in another workspace", 403):
        await client.check_action(ed, EXPORT, scene.other_workspace)
    with refused("a list in another workspace", 403):
        await client.get_user_actions(ed, scene.other_workspace)
    with refused("a name that is none", 422):
        await client.register_actions([{"action": "Not a name"}])
    with refused("a token that is none", 401):
        await client.check_action("nonsense", EXPORT, scene.workspace)


async def strangers(scene, mode):
    service = scene.service(mode)
    ed = await scene.token(mode, scene.ed)
    for key in (None, "sk_" + "x" * 43):
        async with RoleClient(scene.control_plane, service.name, key) as client:
            with refused("a registration without a good key", 401):
                await client.register_actions([{"action": EXPORT}])
            with refused("a check without a good key", 401):
                await client.check_action(ed, EXPORT, scene.workspace)
    async with RoleClient(scene.control_plane, f"another-{uuid.uuid4().hex}", service.key) as client:
        with refused("a registration in another scope", 403):
            await client.register_actions([{"action": EXPORT}])
        with refused("a check in another scope", 403):
            await client.check_action(ed, EXPORT, scene.workspace)
        with refused("a list in another scope", 403):
            await client.get_user_actions(ed, scene.workspace)
    await client.close()
