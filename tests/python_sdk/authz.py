"""Every method of `AuthzClient`: a list of workspaces, a token for one, and tokens that are no good."""

import base64
import hashlib
import hmac
import json
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from scene import bearer, claims, expect, expect_fields, refused
from sentinel_auth import AuthzClient

ARCHIVE = "notes:archive"


async def run(scene):
    """`/authz/resolve` as a service calls it."""
    async with AuthzClient(scene.control_plane, scene.notes.key) as client:
        await listed(scene, client)
        await minted(scene, client)
        await carries_actions(scene, client)
        await hostile(scene, client)
        expect("the name without the key", scene.notes.key in repr(client), False)
    await audiences(scene)
    await callers(scene)


async def listed(scene, client):
    answer = await client.resolve(scene.ann.id_token, scene.provider)
    user = {"id": str(scene.ann.id), "email": scene.ann.email, "name": scene.ann.name}
    workspace = {"id": str(scene.workspace), "slug": scene.workspace_slug, "name": "Acme", "role": "owner"}
    expected = {
        "user": user,
        "workspace": None,
        "authz_token": None,
        "expires_in": None,
        "workspaces": [workspace],
    }
    expect("the answer without a workspace", answer, expected)


async def minted(scene, client):
    answer = await client.resolve(scene.ann.id_token, scene.provider, scene.workspace, nonce=scene.ann.nonce)
    token = answer.pop("authz_token")
    expected = {
        "user": {"id": str(scene.ann.id), "email": scene.ann.email, "name": scene.ann.name},
        "workspace": {"id": str(scene.workspace), "slug": scene.workspace_slug, "role": "owner"},
        "expires_in": 300,
        "workspaces": None,
    }
    expect("the answer with a workspace", answer, expected)
    said = claims(token)
    expect_fields(
        "the token",
        said,
        iss=scene.control_plane,
        aud="sentinel:authz",
        type="authz",
        sub=str(scene.ann.id),
        idp_sub=claims(scene.ann.id_token)["sub"],
        svc=scene.notes.name,
        wid=str(scene.workspace),
        wslug=scene.workspace_slug,
        wrole="owner",
        actions=[],
    )
    expect("how long it is good", said["exp"] - said["iat"], 300)
    expect("what it does not say", said.keys() & {"email", "name", "groups"}, set())
    again = await client.resolve(scene.ann.id_token, scene.provider, str(scene.workspace))
    expect("another token", claims(again["authz_token"])["jti"] == said["jti"], False)


async def carries_actions(scene, client):
    """The actions of the service, registered when it started, that the user has at that moment."""
    registered = await scene.admin("GET", f"/admin/service-actions?service_name={scene.notes.name}")
    ids = [action["id"] for action in registered if action["action"] == ARCHIVE]
    role = await scene.admin(
        "POST", f"/admin/workspaces/{scene.workspace}/roles", {"name": "Archivists"}, 201
    )
    await scene.admin("POST", f"/admin/roles/{role['id']}/actions", {"service_action_ids": ids}, 201)
    await scene.admin("POST", f"/admin/roles/{role['id']}/members/{scene.ed.id}", None, 201)
    answer = await client.resolve(scene.ed.id_token, scene.provider, scene.workspace)
    expect("the action in the token", ARCHIVE in claims(answer["authz_token"])["actions"], True)
    await scene.admin("DELETE", f"/admin/roles/{role['id']}", status=204)
    answer = await client.resolve(scene.ed.id_token, scene.provider, scene.workspace)
    expect("the action without the role", ARCHIVE in claims(answer["authz_token"])["actions"], False)


async def hostile(scene, client):
    """Tokens and requests that are no good: their statuses by the client, then the reasons."""
    ann = scene.ann
    with refused("another workspace", 403):
        await client.resolve(ann.id_token, scene.provider, scene.other_workspace)
    with refused("somebody else's nonce", 400):
        await client.resolve(ann.id_token, scene.provider, nonce=scene.vic.nonce)
    with refused("a workspace that is no id", 422):
        await client.resolve(ann.id_token, scene.provider, "acme")
    with refused("an empty token", 400):
        await client.resolve("", scene.provider)
    for what, token in (await forgeries(scene)).items():
        for workspace in (None, scene.workspace):
            detail = await reason(scene, token, 400, workspace_id=workspace)
            expect(f"the beginning of `{detail}` about {what}", detail.startswith("Invalid token: "), True)
    for detail, status, token, changes in (
        ("Nonce mismatch", 400, ann.id_token, {"nonce": "another"}),
        ("Email not verified", 400, scene.unverified_id_token, {}),
        ("Unsupported provider: somebody", 400, ann.id_token, {"provider": "somebody"}),
        ("User is not a member of this workspace", 403, ann.id_token, {"workspace_id": uuid.uuid4()}),
    ):
        expect(f"the reason of {status}", await reason(scene, token, status, **changes), detail)


async def reason(scene, token, status, **changes):
    """Why the control plane does not resolve a token."""
    body = {"idp_token": token, "provider": scene.provider, **changes}
    body = {name: value if value is None else str(value) for name, value in body.items()}
    answer = await scene.http.post("/authz/resolve", json=body, headers={"X-Service-Key": scene.notes.key})
    expect(f"the status of {changes} ({answer.text})", answer.status_code, status)
    return answer.json()["detail"]


async def forgeries(scene):
    """Tokens that the provider did not make, or did not make for this application."""
    head, payload, signature = scene.ann.id_token.split(".")
    said, kid = claims(scene.ann.id_token), jwt.get_unverified_header(scene.ann.id_token)["kid"]
    [public] = [
        jwt.PyJWK(key).key
        for key in (await scene.http.get(scene.idp_jwks_url)).json()["keys"]
        if key["kid"] == kid
    ]
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hmac_head = encoded({"alg": "HS256", "typ": "JWT", "kid": kid})
    mac = hmac.new(pem, f"{hmac_head}.{payload}".encode(), hashlib.sha256).digest()
    return {
        "no token": "nonsense",
        "a token for another client of the provider": scene.foreign_id_token,
        "a token for Sentinel's own client, where others are named": scene.own_id_token,
        "a token of Sentinel itself": scene.ann.access,
        "a token without its signature": f"{head}.{payload}.",
        "a token with somebody else's claims": f"{head}.{scene.vic.id_token.split('.')[1]}.{signature}",
        "a token that says that it is not signed": f"{encoded({'alg': 'none'})}.{payload}.",
        "a token signed with another key": jwt.encode(said, own, "RS256", {"kid": kid}),
        "a token that brings its key": jwt.encode(
            said, own, "RS256", {"jwk": json.loads(RSAAlgorithm.to_jwk(own.public_key()))}
        ),
        "a token whose secret is the public key": f"{hmac_head}.{payload}.{encoded(mac)}",
    }


def encoded(part):
    """A part of a token."""
    part = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


async def audiences(scene):
    """A service that names no clients of the provider takes tokens for Sentinel's own."""
    async with AuthzClient(scene.control_plane, scene.mail.key) as client:
        answer = await client.resolve(scene.own_id_token, scene.provider, scene.workspace)
        expect("the service of the token", claims(answer["authz_token"])["svc"], scene.mail.name)
        with refused("a token for an application that is not named", 400):
            await client.resolve(scene.ann.id_token, scene.provider, scene.workspace)
    await client.close()


async def callers(scene):
    """Who may ask."""
    async with AuthzClient(scene.control_plane, "sk_" + "x" * 43) as client:
        with refused("a wrong key", 401):
            await client.resolve(scene.ann.id_token, scene.provider)
    body = {"idp_token": scene.ann.id_token, "provider": scene.provider}

    async def ask(status, headers, **more):
        answer = await scene.http.post("/authz/resolve", json={**body, **more}, headers=headers)
        expect(f"resolve with {list(headers)} ({answer.text})", answer.status_code, status)
        return answer.json()

    await ask(401, {})
    await ask(401, bearer(scene.ann.access))
    page = {"Origin": "https://notes.example.com"}
    listed = await ask(200, page)
    expect(
        "the list for a page of the service", [w["id"] for w in listed["workspaces"]], [str(scene.workspace)]
    )
    await ask(403, page, workspace_id=str(scene.workspace))
    await ask(401, {"Origin": "https://evil.example.com"})
