"""Both middlewares as applications add them without `Sentinel`, with each way to give them keys."""

import httpx
import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import Depends, FastAPI
from scene import AUTHZ, PROXY, bearer, claims, expect, refused
from sentinel_auth import (
    AuthzClient,
    AuthzMiddleware,
    JWTAuthMiddleware,
    PermissionClient,
    Sentinel,
    get_token,
)
from sentinel_auth.dependencies import get_current_user, get_request_auth_factory

MISSING = "Missing or invalid Authorization header"


async def run(scene):
    """Every way to construct them, and what each lets through."""
    jwks = f"{scene.control_plane}/.well-known/jwks.json"
    sentinel = Sentinel(scene.control_plane, scene.docs.name, scene.docs.key, mode="proxy")
    pem = await sentinel.fetch_sentinel_public_key()
    expect("the fetched key", sentinel.sentinel_public_key, pem)
    await keys_have_names(scene, jwks)
    for keys in ({"base_url": scene.control_plane}, {"jwks_url": jwks}, {"public_key": pem}):
        await proxy_mode(scene, keys)
    await workspaces(scene)
    await away(scene)
    idp_pem = await provider_key(scene)
    await authz_mode(scene, pem, {"idp_jwks_url": scene.idp_jwks_url})
    await authz_mode(scene, pem, {"idp_public_key": idp_pem})
    await own_audience(scene, pem)
    await stale(scene)
    await no_realm(scene, sentinel)


def asked(app):
    """A client of an application in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


def application(middleware, **settings):
    """An application with two pages behind a middleware."""
    app = FastAPI()
    app.add_middleware(middleware, **settings)

    @app.get("/me")
    async def me(user=Depends(get_current_user), token=Depends(get_token)):
        return {"user": user.user_id, "role": user.workspace_role, "token": token}

    @app.get("/auth")
    async def auth(auth=Depends(get_request_auth_factory())):
        return {"user": auth.user_id}

    @app.get("/health")
    async def health():
        return {}

    return app


async def answers(client, path, headers, status, detail=None):
    answer = await client.get(path, headers=headers)
    expect(f"{path} ({answer.text})", answer.status_code, status)
    if detail is not None:
        expect(f"the detail of {path}", answer.json(), {"detail": detail})
    return answer.json()


async def keys_have_names(scene, jwks):
    """The middlewares find keys by name, and `Sentinel` takes the first one as the current."""
    keys = (await scene.http.get(jwks)).json()["keys"]
    for token in (scene.ann.access, await scene.token(AUTHZ, scene.ann)):
        expect("the name of the signing key", jwt.get_unverified_header(token)["kid"], keys[0]["kid"])


async def proxy_mode(scene, keys):
    authz_token = await scene.token(AUTHZ, scene.ann)
    async with asked(application(JWTAuthMiddleware, **keys)) as client:
        me = await answers(client, "/me", bearer(scene.ann.access), 200)
        expect("who came", me, {"user": str(scene.ann.id), "role": "owner", "token": scene.ann.access})
        expect(
            "the same",
            await answers(client, "/auth", bearer(scene.ann.access), 200),
            {"user": str(scene.ann.id)},
        )
        await answers(client, "/health", {}, 200)
        await answers(client, "/me", {}, 401, MISSING)
        await answers(client, "/me", {"Authorization": "Basic eDp5"}, 401, MISSING)
        for wrong in (
            authz_token,
            scene.ann.id_token,
            scene.ann.refresh,
            "nonsense",
            scene.ann.access[:-8] + "AAAAAAAA",
        ):
            await answers(client, "/me", bearer(wrong), 401, "Invalid token")
        await answers(
            client, "/me", bearer(resigned(scene, scene.ann.access, exp=1)), 401, "Token has expired"
        )
        nowhere = resigned(scene, scene.ann.access, wid=None)
        await answers(client, "/me", bearer(nowhere), 401, "Invalid token claims")
        # Excluded paths are excluded with what is below them; nothing but they is.
        await answers(client, "/health/below", {}, 404)
        await answers(client, "/healthy", {}, 401, MISSING)
        expect("a preflight", (await client.options("/me")).status_code, 401)


def resigned(scene, token, **changes):
    """A token with other claims, signed with the control plane's own key."""
    said = {name: value for name, value in {**claims(token), **changes}.items() if value is not None}
    return jwt.encode(said, scene.signing_key, "RS256", {"kid": jwt.get_unverified_header(token)["kid"]})


async def stale(scene):
    """The control plane refuses what the middlewares refuse, although its own key signed it."""
    for mode in (PROXY, AUTHZ):
        token, service = await scene.token(mode, scene.ann), scene.service(mode)
        async with PermissionClient(scene.control_plane, service.name, service.key) as client:
            for changes in ({"exp": 1}, {"wid": None}, {"aud": "sentinel:other"}, {"iss": "http://other"}):
                with refused(f"a token with {changes}", 401):
                    await client.can(resigned(scene, token, **changes), "note", scene.workspace, "view")
            same = resigned(scene, token)
            expect("the same token", await client.can(same, "note", scene.workspace, "view"), False)


async def workspaces(scene):
    only = {str(scene.other_workspace)}
    app = application(JWTAuthMiddleware, base_url=scene.control_plane, allowed_workspaces=only)
    async with asked(app) as client:
        await answers(client, "/me", bearer(scene.nora.access), 200)
        await answers(
            client, "/me", bearer(scene.ann.access), 403, "Workspace not permitted for this service"
        )


async def away(scene):
    """Without the control plane nothing can be verified."""
    async with asked(application(JWTAuthMiddleware, base_url="http://127.0.0.1:1")) as client:
        await answers(client, "/me", bearer(scene.ann.access), 500, "Authentication service unavailable")


async def provider_key(scene):
    """The provider's key as a file would have it."""
    kid = jwt.get_unverified_header(scene.ann.id_token)["kid"]
    keys = (await scene.http.get(scene.idp_jwks_url)).json()["keys"]
    [key] = [jwt.PyJWK(key).key for key in keys if key["kid"] == kid]
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


async def authz_mode(scene, pem, idp_keys):
    settings = {
        "service_name": scene.notes.name,
        "sentinel_public_key": pem,
        "idp_audience": scene.app_audience,
        "idp_issuer": scene.issuer,
        **idp_keys,
    }
    middleware = AuthzMiddleware(FastAPI(), **settings)
    expect("the keys", middleware.sentinel_public_key, pem)
    expect("the provider's key", middleware.idp_public_key, idp_keys.get("idp_public_key", ""))
    expect("the scope", middleware.effective_scope, scene.notes.name)
    ann = await scene.token(AUTHZ, scene.ann)
    vic = await scene.token(AUTHZ, scene.vic)
    nora = await scene.token(AUTHZ, scene.nora)
    async with asked(application(AuthzMiddleware, **settings)) as client:

        def carry(id_token, authz_token):
            return {**bearer(id_token), "X-Authz-Token": authz_token}

        me = await answers(client, "/me", carry(scene.ann.id_token, ann), 200)
        expect("who came", me, {"user": str(scene.ann.id), "role": "owner", "token": ann})
        await answers(client, "/auth", carry(scene.nora.id_token, nora), 200)
        await answers(client, "/me", {}, 401, "Missing IdP token")
        await answers(client, "/me", bearer(scene.ann.id_token), 401, "Missing authz token")
        for wrong in ("nonsense", scene.foreign_id_token, scene.own_id_token, scene.ann.access):
            await answers(client, "/me", carry(wrong, ann), 401, "Invalid IdP token")
        for wrong in ("nonsense", scene.ann.access, scene.ann.id_token, ann[:-8] + "AAAAAAAA"):
            await answers(client, "/me", carry(scene.ann.id_token, wrong), 401, "Invalid authz token")
        expired = resigned(scene, ann, exp=1)
        await answers(client, "/me", carry(scene.ann.id_token, expired), 401, "Authz token expired")
        nowhere = resigned(scene, ann, wid=None)
        await answers(client, "/me", carry(scene.ann.id_token, nowhere), 401, "Invalid token claims")
        expect("a preflight", (await client.options("/me")).status_code, 405)
        mismatch = "Token binding mismatch: idp_sub does not match"
        await answers(client, "/me", carry(scene.ann.id_token, vic), 401, mismatch)
        await answers(client, "/me", carry(scene.vic.id_token, ann), 401, mismatch)


async def own_audience(scene, pem):
    """A service that shares Sentinel's own client at the provider; and its tokens elsewhere."""
    settings = {"sentinel_public_key": pem, "idp_jwks_url": scene.idp_jwks_url, "idp_issuer": scene.issuer}
    async with AuthzClient(scene.control_plane, scene.mail.key) as client:
        minted = await client.resolve(scene.own_id_token, scene.provider, scene.workspace)
    headers = {**bearer(scene.own_id_token), "X-Authz-Token": minted["authz_token"]}
    mail = application(
        AuthzMiddleware, service_name=scene.mail.name, idp_audience=scene.own_audience, **settings
    )
    async with asked(mail) as client:
        await answers(client, "/me", headers, 200)
    both = [scene.own_audience, scene.app_audience]
    notes = application(AuthzMiddleware, service_name=scene.notes.name, idp_audience=both, **settings)
    async with asked(notes) as client:
        await answers(client, "/me", headers, 403, "Authz token was issued for a different service")


async def no_realm(scene, sentinel):
    """A service on its own: its scope is its name, and it gets no token without a user."""
    expect("the scope", (await sentinel.fetch_whoami())["effective_scope"], scene.docs.name)
    expect("the scope, kept", (sentinel.effective_scope, sentinel.realm), (scene.docs.name, None))
    with refused("an access token as a token without a user", 401):
        sentinel.verify_m2m_token(scene.ann.access)
    with refused("a token without a user", 403):
        await sentinel.mint_m2m_token()
    expect("the shape of a service", (sentinel.mode, scene.docs.key in repr(sentinel)), (PROXY, False))
