"""A Release as something that can be called: its own settings and files, with the code of this process."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from shiftright.core.release import Release
from shiftright.core.spec import Spec, Variant
from shiftright.errors import SpecError, StoreError
from shiftright.features import identity, loading
from shiftright.features.loading import LoadedFeature


def load_release(release: Release, spec: Spec, home: Path) -> LoadedFeature:
    """The release, ready for ``call``, whatever the contract's variants and their files say now.

    Prompts and other files that its settings name are its own, under ``home/releases/<digest>``. A program gets no
    such copy: it finds files by itself, so they have to be as they were.

    Args:
        spec: the contract whose code is called; limits of single requests are its own.

    Raises:
        SpecError: the code is not what the release was frozen with, or cannot be loaded.
        StoreError: its files cannot be written.
    """
    contract = msgspec.structs.replace(spec, run=release.run)
    variant = Variant(release.variant, release.settings, release.run, _written(release, spec, home))
    loaded = loading.load(contract, variant)
    if loaded.kind == "command":
        variant = msgspec.structs.replace(variant, root=spec.root)
        loaded = msgspec.structs.replace(loaded, variant=variant)
    if identity.digest(loaded) != release.code:
        raise SpecError(
            f"release {release.digest[:12]} ({release.variant}) was frozen from other code than {spec.root} has now",
            file=spec.path,
            hint="Deploy the code it was frozen from"
            + (f" (commit {release.commit[:12]})" if release.commit else "")
            + f", or release what is here: shiftright release {spec.feature} --variant {release.variant}",
        )
    return loaded


def _written(release: Release, spec: Spec, home: Path) -> Path:
    """The folder that stands for the contract's: the release's texts, and links to what is large or binary."""
    base = home.resolve() / "releases" / release.digest
    wanted = {name: text.encode() for name, text in release.files.items()}
    now = identity.named_files(Variant(release.variant, release.settings, root=spec.root), release.run)
    links = {name: path for name, path in now.items() if name not in wanted and not Path(name).is_absolute()}
    # a file beside or above the contract's folder keeps its place relative to it, inside of ours
    up = max((Path(name).parts.count("..") for name in (*wanted, *links)), default=0)
    root = base.joinpath("files", *["in"] * up)
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name, data in wanted.items():
            _write(_inside(base, root, name), data)
        for name, path in links.items():
            _link(_inside(base, root, name), path)
    except OSError as error:
        raise StoreError(
            f"release {release.digest[:12]} cannot be written: {error.strerror}",
            file=base,
            hint="Free space, or make the folder writable (SHIFTRIGHT_HOME moves it).",
        ) from error
    return root


def _inside(base: Path, root: Path, name: str) -> Path:
    place = Path(os.path.normpath(root / name))
    if not place.is_relative_to(base):
        raise StoreError(
            f"a release's file would lie outside of its folder: {name!r}",
            file=base,
            hint="Something else changed the records. See where: shiftright verify",
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _write(place: Path, data: bytes) -> None:
    """Whole or not at all: other processes read it."""
    if place.is_symlink() or not place.is_file() or place.read_bytes() != data:
        part = _part(place)
        part.write_bytes(data)
        part.replace(place)


def _link(place: Path, target: Path) -> None:
    if not place.is_symlink() or place.readlink() != target:
        part = _part(place)
        part.symlink_to(target)
        part.replace(place)


def _part(place: Path) -> Path:
    """A name that no other thread or process takes."""
    return place.with_name(f"{place.name}.{secrets.token_hex(6)}.part")
