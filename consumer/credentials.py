"""Tenants' passwords: AES-256-GCM, bound to the tenant, the table and the column.

A ciphertext that is moved to another tenant's row, or another column, does not open. A blob is
`version (1 byte) || length of the key id (1) || key id || nonce (12) || ciphertext and tag`.
The keyring's first key encrypts; all of them decrypt, so keys can be changed without a stop.
"""

import base64
import os
import re
from collections.abc import Mapping
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = 1
_NONCE_BYTES = 12  # NIST SP 800-38D's size for random nonces
_KEY_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_BOUND_TO = ("tenant_settings", "sedna_password_encrypted")


class InvalidKeyring(ValueError):
    """The text is no keyring; the message says where, and never repeats a key."""


class CannotDecrypt(Exception):
    """A stored password does not open with any key of the keyring."""


class Keyring:
    """The keys that tenants' passwords are encrypted with."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Args: keys: id to 32 bytes; the first is the active one."""
        if not keys:
            raise InvalidKeyring("it holds no key")
        self._keys = MappingProxyType({name: AESGCM(key) for name, key in keys.items()})
        self.active = next(iter(keys))  #: the id of the key that encrypts

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read `id:base64 of 32 bytes,…`, the first one active.

        Raises:
            InvalidKeyring: it has another form.
        """
        keys: dict[str, bytes] = {}
        for place, part in enumerate(text.split(","), start=1):
            name, colon, encoded = part.strip().partition(":")
            if not colon or not _KEY_ID.fullmatch(name):
                raise InvalidKeyring(f"key {place} is not of the form id:base64")
            if name in keys:
                raise InvalidKeyring(f"key {place}: the id {name} stands there twice")
            try:
                key = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
            except ValueError:  # also what is not ASCII
                raise InvalidKeyring(f"key {place} ({name}) is not base64") from None
            if len(key) != _KEY_BYTES:
                raise InvalidKeyring(f"key {place} ({name}) has {len(key)} bytes instead of 32")
            keys[name] = key
        return cls(keys)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"

    def encrypt(self, password: str, *, tenant_id: str) -> bytes:
        """The blob that only this tenant's row opens."""
        nonce = os.urandom(_NONCE_BYTES)
        header = bytes([_VERSION, len(self.active)]) + self.active.encode("ascii")
        sealed = self._keys[self.active].encrypt(
            nonce, password.encode(), _associated(tenant_id, header)
        )
        return header + nonce + sealed

    def decrypt(self, blob: bytes, *, tenant_id: str) -> str:
        """The password of a tenant's row.

        Raises:
            CannotDecrypt: its key is not in the keyring, or it was not made for this tenant.
        """
        name, header, body = _split(blob, tenant_id)
        key = self._keys.get(name)
        if key is None:
            raise CannotDecrypt(
                f"the password of tenant {tenant_id} was encrypted with key {name}, which is not "
                f"in SEDNA_SYNC_ENCRYPTION_KEYS: add that key, or set the password anew"
            )
        nonce, sealed = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
        try:
            return key.decrypt(nonce, sealed, _associated(tenant_id, header)).decode()
        except (InvalidTag, ValueError):
            raise CannotDecrypt(
                f"the password of tenant {tenant_id} does not open with key {name}: it was stored "
                f"for another tenant or with another key of that id; set the password anew "
                f"with `sedna-sync tenant set {tenant_id}`"
            ) from None

    def key_of(self, blob: bytes, *, tenant_id: str) -> str:
        """The id of the key that a blob was encrypted with."""
        return _split(blob, tenant_id)[0]


def _split(blob: bytes, tenant_id: str) -> tuple[str, bytes, bytes]:
    broken = CannotDecrypt(
        f"the stored password of tenant {tenant_id} is damaged: set the password anew with "
        f"`sedna-sync tenant set {tenant_id}`"
    )
    if len(blob) < 2 or blob[0] != _VERSION:  # noqa: PLR2004  # version and length
        raise broken
    end = 2 + blob[1]
    try:
        name = blob[2:end].decode("ascii")
    except UnicodeDecodeError:
        raise broken from None
    if not _KEY_ID.fullmatch(name) or len(blob) < end + _NONCE_BYTES:
        raise broken
    return name, blob[:end], blob[end:]


def _associated(tenant_id: str, header: bytes) -> bytes:
    # NUL stands in none of the names, so no two lists of names give the same bytes.
    return b"\x00".join([name.encode() for name in (tenant_id, *_BOUND_TO)]) + b"\x00" + header
