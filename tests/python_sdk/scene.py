"""Whom and what the test has made: read from the file that it wrote."""

import contextlib
import json
import uuid
from dataclasses import dataclass

import httpx
import jwt
from sentinel_auth import AuthzClient, SentinelError

PROXY = "proxy"
AUTHZ = "authz"


@dataclass(frozen=True)
class Person:
    """Somebody with an account and tokens for one workspace."""

    id: uuid.UUID
    email: str
    name: str
    role: str
    workspace: uuid.UUID
    access: str
    refresh: str
    id_token: str
    nonce: str


@dataclass(frozen=True)
class Service:
    """A service app with its key, and where it runs if it does."""

    id: str
    name: str
    key: str
    url: str | None


@dataclass
class Scene:
    """Everything."""

    control_plane: str
    admin_cookie: str
    signing_key: str
    provider: str
    issuer: str
    idp_jwks_url: str
    own_audience: str
    app_audience: str
    workspace: uuid.UUID
    workspace_slug: str
    other_workspace: uuid.UUID
    people: dict[str, Person]
    services: dict[str, Service]
    foreign_id_token: str
    own_id_token: str
    unverified_id_token: str

    @classmethod
    def read(cls, path):
        """The scene that is written in a file."""
        with open(path, encoding="utf-8") as file:
            written = json.load(file)
        for field in ("workspace", "other_workspace"):
            written[field] = uuid.UUID(written[field])
        people = written.pop("people")
        for person in people.values():
            person["id"] = uuid.UUID(person["id"])
            person["workspace"] = uuid.UUID(person["workspace"])
        scene = cls(
            people={name: Person(**person) for name, person in people.items()},
            services={name: Service(**service) for name, service in written.pop("services").items()},
            **written,
        )
        scene.http = httpx.AsyncClient(base_url=scene.control_plane)
        scene.resolver = AuthzClient(scene.control_plane, scene.service(AUTHZ).key)
        return scene

    async def close(self):
        """Ends the connections that all chapters share."""
        await self.http.aclose()
        await self.resolver.close()

    def __getattr__(self, name):
        """A person or a service by name."""
        for kind in ("people", "services"):
            found = self.__dict__.get(kind, {}).get(name)
            if found is not None:
                return found
        raise AttributeError(name)

    def service(self, mode):
        """The service that runs in that mode."""
        return self.services["docs" if mode == PROXY else "notes"]

    async def token(self, mode, person):
        """The Sentinel token with which somebody's requests reach the service of that mode."""
        if mode == PROXY:
            return person.access
        resolved = await self.resolver.resolve(person.id_token, self.provider, person.workspace)
        return resolved["authz_token"]

    async def headers(self, mode, person):
        """What somebody's requests to the service of that mode carry."""
        token = await self.token(mode, person)
        if mode == PROXY:
            return bearer(token)
        return {**bearer(person.id_token), "X-Authz-Token": token}

    async def admin(self, method, path, body=None, status=200):
        """Does something as the administrator of the installation."""
        headers = {"Cookie": f"admin_token={self.admin_cookie}", "X-Requested-With": "python_sdk"}
        return await self._ask(method, path, headers, body, status)

    async def as_person(self, person, method, path, body=None, status=200):
        """Does something at the control plane with somebody's access token."""
        return await self._ask(method, path, bearer(person.access), body, status)

    async def _ask(self, method, path, headers, body, status):
        answer = await self.http.request(method, path, headers=headers, json=body)
        expect(f"{method} {path} ({answer.text})", answer.status_code, status)
        return answer.json() if answer.content else None


def bearer(token):
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def claims(token):
    """What a token says, unverified."""
    return jwt.decode(token, options={"verify_signature": False})


def expect(what, found, expected):
    """Fails, with both values, unless what was found is what was expected."""
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def expect_fields(what, found, **expected):
    """Compares these fields of an object."""
    expect(what, {name: found.get(name, "(missing)") for name in expected}, expected)


@contextlib.contextmanager
def refused(what, status):
    """Expects that the client raises its error with that status."""
    try:
        yield
    except SentinelError as error:
        expect(what, error.status_code, status)
    else:
        raise AssertionError(f"{what}: expected status {status}, nothing was refused")
