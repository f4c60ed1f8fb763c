"""Encrypts every tenant's password anew with the active key, in place and page by page.

Nothing is remembered between two runs: what the active key has encrypted is done. So a run may be
killed at any moment, and the next one does the rest. It must never overwrite a password that
somebody has set meanwhile, nor stop at one that does not open.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from consumer.credentials import CannotDecrypt, Keyring
from db import tenants
from db.pool import Pool

#: Tenants in a page, which is read in one statement and written in another.
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation has come to."""

    tenants: int  #: that there are
    changed: int  #: passwords that were encrypted anew
    #: Why the passwords of these tenants do not open; they stay as they are.
    unopened: Mapping[str, str]


@dataclass(slots=True)
class _Pass:
    tenants: int = 0
    changed: int = 0
    missed: int = 0  #: changed by somebody else between reading and writing
    unopened: dict[str, str] = field(default_factory=dict)


async def rotate(pool: Pool, keys: Keyring, *, on_progress: Callable[[int], None]) -> Rotation:
    """Rotate all tenants' passwords to the active key.

    Args:
        pool: connections.
        keys: the first of them is the active one.
        on_progress: told how many tenants more have been looked at, for the first time.

    Raises:
        DatabaseUnavailable: part of it is done; run it again.
    """
    last = await _pass(pool, keys, on_progress)
    changed = last.changed
    # Somebody whose keys are still in the old order may have set a password meanwhile.
    while last.changed or last.missed:
        last = await _pass(pool, keys, lambda _: None)
        changed += last.changed
    return Rotation(tenants=last.tenants, changed=changed, unopened=last.unopened)


async def _pass(pool: Pool, keys: Keyring, on_progress: Callable[[int], None]) -> _Pass:
    done = _Pass()
    after = ""
    while page := await tenants.passwords(pool, after=after, limit=_PAGE):
        changes: list[tuple[str, bytes, bytes]] = []
        for tenant_id, old in page:
            try:
                if keys.key_of(old, tenant_id=tenant_id) == keys.active:
                    continue
                password = keys.decrypt(old, tenant_id=tenant_id)
            except CannotDecrypt as error:
                done.unopened[tenant_id] = str(error)
                continue
            changes.append((tenant_id, old, keys.encrypt(password, tenant_id=tenant_id)))
        replaced = await tenants.replace_passwords(pool, changes) if changes else set()
        done.tenants += len(page)
        done.changed += len(replaced)
        done.missed += len(changes) - len(replaced)
        after = page[-1][0]
        on_progress(len(page))
    return done
