"""Drives the published client against a running control plane.

python driver.py SCENE.json

Ends with status 0 when all of it holds and every function of the client was called.
"""

import asyncio
import sys
import traceback

import authz
import httpx
import middlewares
import permissions
import revocation
import roles
import services
from calls import Calls, public_functions
from scene import AUTHZ, PROXY, Scene

# Tokens without a user exist in realms only.
ONLY_IN_REALMS = {"sentinel_auth.auth.SystemAuth.can"}


async def chapter(name, run):
    """Runs a part of the test, and tells how it went; says whether it held."""
    try:
        await run
    except Exception:
        print(f"failed: {name}\n{traceback.format_exc()}", flush=True)
        return False
    print(f"passed: {name}", flush=True)
    return True


async def main():
    calls = Calls()
    calls.record()
    scene = Scene.read(sys.argv[1])
    chapters = [
        (f"{module.__name__} in {mode} mode", module.run(scene, mode))
        for module in (permissions, roles, services)
        for mode in (PROXY, AUTHZ)
    ]
    chapters += [("authz", authz.run(scene)), ("middlewares", middlewares.run(scene))]
    # They do not get in each other's way, and each waits for answers most of the time.
    held = await asyncio.gather(*(chapter(name, run) for name, run in chapters))
    # This one takes the people away.
    held.append(await chapter("revocation", revocation.run(scene)))
    await scene.close()
    calls.stop()
    called = set(calls.seen)
    async with httpx.AsyncClient() as client:
        for mode in (PROXY, AUTHZ):
            called.update((await client.get(f"{scene.service(mode).url}/calls")).json())
    missed = sorted(public_functions() - ONLY_IN_REALMS - called)
    print(f"never called: {missed}")
    return all(held) and not missed


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main()) else 1)
