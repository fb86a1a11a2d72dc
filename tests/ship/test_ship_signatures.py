"""Signatures are OpenSSH's own: each side reads what the other makes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from shiftright.errors import CredentialsError, UsageError
from shiftright.ship import signatures
from shiftright.ship.signatures import NAMESPACE, Signer

keygen = shutil.which("ssh-keygen")
needs_openssh = pytest.mark.skipif(keygen is None, reason="ssh-keygen is not installed")


def make_key(file: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    assert keygen is not None
    words = ["-q", "-t", kind, "-N", passphrase, "-C", "release@example.com", "-f", str(file)]
    subprocess.run([keygen, *words], check=True)
    return file


@needs_openssh
def test_what_is_signed_here_openssh_verifies_and_the_other_way_round(tmp_path: Path) -> None:
    assert keygen is not None
    key = make_key(tmp_path / "key")
    signer = Signer(key)
    public = key.with_suffix(".pub").read_text()
    signers = tmp_path / "signers"
    signers.write_text(f'# who may sign\n"Ada Byron" namespaces="{NAMESPACE}" {public}')
    assert signatures.allowed(signers) == {signer.key: "Ada Byron"}
    listed = subprocess.run([keygen, "-l", "-f", str(key)], capture_output=True, text=True, check=True)
    assert signer.key in listed.stdout

    made = tmp_path / "made.sig"
    made.write_text(signer.sign("a record"))
    words = ["-Y", "verify", "-n", NAMESPACE, "-I", "Ada Byron", "-f", str(signers), "-s", str(made)]
    verified = subprocess.run([keygen, *words], input="a record", capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr

    words = ["-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key)]
    theirs = subprocess.run([keygen, *words], input="a record", capture_output=True, text=True, check=True)
    assert signatures.check("a record", theirs.stdout) == signer.key


@needs_openssh
def test_a_signature_of_something_else_is_none(tmp_path: Path) -> None:
    signer = Signer(make_key(tmp_path / "key"))
    made = signer.sign("a record")
    assert signatures.check("a record", made) == signer.key
    assert signatures.check("another record", made) is None
    for broken in ("", "text", made[:-40], made.replace("\n", "", 1), made.replace("U", "V", 1)):
        assert signatures.check("a record", broken) is None


@needs_openssh
@pytest.mark.parametrize(
    ("kind", "passphrase", "said"), [("ecdsa", "", "kind Ed25519"), ("ed25519", "secret", "passphrase")]
)
def test_a_key_that_cannot_sign_says_why(tmp_path: Path, kind: str, passphrase: str, said: str) -> None:
    with pytest.raises(CredentialsError, match=said):
        Signer(make_key(tmp_path / "key", kind, passphrase))


def test_files_that_are_no_keys_and_no_signers(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with pytest.raises(CredentialsError, match="cannot be read"):
        Signer(file)
    file.write_text("text")
    with pytest.raises(CredentialsError, match="cannot be used"):
        Signer(file)
    with pytest.raises(UsageError, match="not a line"):
        signatures.allowed(file)
    file.write_text('ada valid-before="20200101" ssh-ed25519 AAAA')
    with pytest.raises(UsageError, match="valid-before"):
        signatures.allowed(file)
    file.write_text('ada namespaces="git" ssh-ed25519 AAAA\nbo ssh-rsa AAAA\n')
    assert signatures.allowed(file) == {}
