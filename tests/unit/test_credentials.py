"""Stored passwords open for their own tenant only, and no message gives a password or key away."""

import base64
import os
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.credentials import CannotDecrypt, InvalidKeyring, Keyring

OLD, NEW = os.urandom(32), os.urandom(32)
KEYRING = Keyring({"new": NEW, "old": OLD})
PASSWORD = "pässword with spaces & 'quotes'"


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def refusal(blob: bytes, *, tenant_id: str = "agency-7", keyring: Keyring = KEYRING) -> str:
    """The one-line message and the whole traceback are both free of secrets."""
    with pytest.raises(CannotDecrypt) as caught:
        keyring.decrypt(blob, tenant_id=tenant_id)
    whole = "".join(traceback.format_exception(caught.value))
    for secret in (PASSWORD, encoded(OLD), encoded(NEW), repr(OLD), repr(NEW)):
        assert secret not in whole
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    assert tenant_id in message
    return message


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_a_password_comes_back_as_it_was(password: str) -> None:
    blob = KEYRING.encrypt(password, tenant_id="agency-7")
    assert KEYRING.decrypt(blob, tenant_id="agency-7") == password


def test_a_ciphertext_moved_to_another_tenant_does_not_open() -> None:
    blob = KEYRING.encrypt(PASSWORD, tenant_id="agency-7")
    message = refusal(blob, tenant_id="agency-8")
    assert "another tenant" in message
    assert "set the password anew" in message


def test_the_blob_repeats_neither_password_nor_tenant() -> None:
    blob = KEYRING.encrypt(PASSWORD, tenant_id="agency-7")
    assert PASSWORD.encode() not in blob
    assert b"agency-7" not in blob


def test_the_same_password_never_gives_the_same_blob_twice() -> None:
    blobs = {KEYRING.encrypt(PASSWORD, tenant_id="agency-7") for _ in range(20)}
    assert len(blobs) == 20


def test_the_first_key_encrypts() -> None:
    blob = KEYRING.encrypt(PASSWORD, tenant_id="agency-7")
    assert KEYRING.active == "new"
    assert KEYRING.key_of(blob, tenant_id="agency-7") == "new"
    assert Keyring({"new": NEW}).decrypt(blob, tenant_id="agency-7") == PASSWORD


def test_a_key_that_is_no_longer_the_first_still_decrypts() -> None:
    blob = Keyring({"old": OLD}).encrypt(PASSWORD, tenant_id="agency-7")
    assert KEYRING.decrypt(blob, tenant_id="agency-7") == PASSWORD
    assert KEYRING.key_of(blob, tenant_id="agency-7") == "old"


def test_a_key_that_is_missing_is_named_with_the_cure() -> None:
    blob = Keyring({"key-2024": OLD}).encrypt(PASSWORD, tenant_id="agency-7")
    message = refusal(blob)
    assert "key-2024" in message
    assert "SEDNA_SYNC_ENCRYPTION_KEYS" in message
    assert "add that key" in message


def test_another_key_under_the_same_id_does_not_open_it() -> None:
    blob = Keyring({"new": OLD}).encrypt(PASSWORD, tenant_id="agency-7")
    assert "another key of that id" in refusal(blob)


def test_a_blob_relabelled_with_another_key_id_does_not_open() -> None:
    same_key = Keyring({"new": NEW, "old": NEW})
    blob = same_key.encrypt(PASSWORD, tenant_id="agency-7")
    refusal(blob.replace(b"new", b"old", 1), keyring=same_key)


@given(st.binary(max_size=80))
def test_bytes_that_are_no_blob_do_not_open(blob: bytes) -> None:
    refusal(blob)


@given(st.binary(max_size=80), st.sampled_from([b"new", b"old", b"other", b"n\new", b"\x00\x1b["]))
def test_bytes_that_begin_like_a_blob_do_not_open(rest: bytes, name: bytes) -> None:
    refusal(bytes([1, len(name)]) + name + rest)


@given(st.data())
def test_a_blob_of_which_any_bit_is_changed_does_not_open(data: st.DataObject) -> None:
    blob = bytearray(KEYRING.encrypt(PASSWORD, tenant_id="agency-7"))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= 1 << data.draw(st.integers(0, 7))
    refusal(bytes(blob))


@given(st.integers(min_value=0, max_value=60))
def test_a_blob_that_was_cut_does_not_open(length: int) -> None:
    blob = KEYRING.encrypt(PASSWORD, tenant_id="agency-7")
    refusal(blob[: min(length, len(blob) - 1)])


def test_a_keyring_shows_the_ids_of_its_keys_and_never_a_key() -> None:
    assert repr(KEYRING) == "Keyring(new, old)"
    assert str(KEYRING) == "Keyring(new, old)"


def test_a_keyring_is_read_from_text_with_the_first_key_active() -> None:
    keyring = Keyring.parse(f" k2:{encoded(NEW)} ,k1:{encoded(OLD)}\n")
    assert keyring.active == "k2"
    blob = Keyring({"k1": OLD}).encrypt(PASSWORD, tenant_id="agency-7")
    assert keyring.decrypt(blob, tenant_id="agency-7") == PASSWORD


def test_a_key_in_the_url_safe_alphabet_is_the_same_key() -> None:
    key = b"\xfb\xff" * 16
    blob = Keyring({"k1": key}).encrypt(PASSWORD, tenant_id="agency-7")
    keyring = Keyring.parse("k1:" + base64.urlsafe_b64encode(key).decode())
    assert keyring.decrypt(blob, tenant_id="agency-7") == PASSWORD


GOOD = "k1:" + encoded(OLD)


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "key 1 is not of the form id:base64"),
        (encoded(OLD), "key 1 is not of the form id:base64"),
        (f"{GOOD},", "key 2 is not of the form id:base64"),
        (f"{GOOD},:{encoded(NEW)}", "key 2 is not of the form id:base64"),
        (f"a b:{encoded(NEW)}", "key 1 is not of the form id:base64"),
        (f"{'k' * 65}:{encoded(NEW)}", "key 1 is not of the form id:base64"),
        (f"{GOOD},k1:{encoded(NEW)}", "key 2: the id k1 stands there twice"),
        ("k1:not!base64", "key 1 (k1) is not base64"),
        ("k1:ümläut", "key 1 (k1) is not base64"),
        (f"{GOOD},k2:{encoded(NEW)[:-1]}", "key 2 (k2) is not base64"),
        (f"k1:{encoded(NEW[:31])}", "key 1 (k1) has 31 bytes instead of 32"),
        ("k1:", "key 1 (k1) has 0 bytes instead of 32"),
    ],
)
def test_a_text_that_is_no_keyring_is_refused_with_the_place_of_the_error(
    text: str, says: str
) -> None:
    with pytest.raises(InvalidKeyring) as caught:
        Keyring.parse(text)
    assert str(caught.value) == says
    whole = "".join(traceback.format_exception(caught.value, chain=True))
    assert encoded(OLD) not in whole
    assert encoded(NEW) not in whole


@given(st.text(max_size=60))
def test_any_text_is_a_keyring_or_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidKeyring) as caught:
        Keyring.parse(text)
    assert len(str(caught.value).splitlines()) == 1


def test_a_keyring_without_keys_is_refused() -> None:
    with pytest.raises(InvalidKeyring):
        Keyring({})
