"""Servers for one test each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.gateway.servers import Provider, Site


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def start(tmp_path: Path, provider: Provider) -> Iterator[Callable[..., Site]]:
    """Starts a server in front of ``provider``: ``start(config="…", key=…)``."""
    running: list[Site] = []

    def begin(
        config: str = "",
        *,
        key: str | None = None,
        prepare: Callable[[Path], None] | None = None,
        telemetry: str = "",
    ) -> Site:
        if config:
            (tmp_path / "shiftright.yaml").write_text(config.replace("URL", provider.url), encoding="utf-8")
        if prepare is not None:
            prepare(tmp_path)
        environment = {
            "OPENAI_API_KEY": "sk-openai",
            "OPENAI_BASE_URL": provider.url,
            "ANTHROPIC_API_KEY": "sk-ant",
            "ANTHROPIC_BASE_URL": provider.url.removesuffix("/v1"),
        }
        running.append(Site(tmp_path, environment, key, telemetry))
        return running[-1]

    yield begin
    for site in running:
        site.end()


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    return start()
