"""One project for reading, and fresh ones for what writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from web_sites import BASE, site

from shiftright.web.application import application
from shiftright.web.site import Site


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("served") / "project") as made:
        yield made


@pytest.fixture(scope="session")
def client(served: Site) -> TestClient:
    return TestClient(application(served), base_url=BASE)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a site of its own: ``fresh(key=..., empty=...)``."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(site(tmp_path / "project", **options))
