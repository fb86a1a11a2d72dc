from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright import models
from shiftright.errors import CredentialsError, MissingDependency, SpecError
from shiftright.models import local


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


def test_a_missing_key_is_named_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(CredentialsError, match=r"openai needs a key.*OPENAI_API_KEY"):
        models.check_credentials("openai:gpt-5")


@pytest.mark.parametrize("name", ["openai:gpt-5", "https://host.invalid/v1#qwen"])
def test_a_missing_key_of_ones_own_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(CredentialsError, match="MY_KEY is not set"):
        models.check_credentials(name, settings={"api_key_env": "MY_KEY"})


def test_names_of_providers(key: None) -> None:
    model = models.resolve(
        "openai:gpt-5", settings={"temperature": 0.5, "prompt": "x.md", "openai_user": "me"}
    )
    assert model.model_id == "openai:gpt-5"
    assert model.settings == {"temperature": 0.5, "openai_user": "me"}
    assert model.wrapped.client.max_retries == 0  # type: ignore[attr-defined]
    assert model.concurrency == 8


def test_a_key_of_ones_own_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine")
    model = models.resolve("openai:gpt-5", settings={"api_key_env": "MY_KEY"})
    assert model.wrapped.client.api_key == "sk-mine"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("https://host.invalid/v1#org/model", {}, ("org/model", "https://host.invalid/v1/")),
        ("qwen3", {"base_url": "http://localhost:8000/v1"}, ("qwen3", "http://localhost:8000/v1/")),
        ("openai:gpt-x", {"base_url": "http://localhost:8000/v1"}, ("gpt-x", "http://localhost:8000/v1/")),
        ("llama3:8b", {"base_url": "http://localhost:8000/v1"}, ("llama3:8b", "http://localhost:8000/v1/")),
    ],
)
def test_models_at_an_address(
    key: None, name: str, settings: dict[str, Any], expected: tuple[str, str]
) -> None:
    model = models.resolve(name, settings=settings)
    assert (model.model_name, model.base_url) == expected
    assert model.wrapped.client.api_key != "sk-test"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["https://host.invalid/v1", "nonsense", "opnai:gpt-5", "local:gpt-9", "https://#m", ""]
)
def test_names_of_nothing(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        models.resolve(name)
    assert caught.value.hint is not None


def test_a_provider_whose_package_is_missing() -> None:
    with pytest.raises(MissingDependency, match="not installed") as caught:
        models.resolve("mistral:mistral-large-latest")
    assert "pip install" in str(caught.value.hint)


@pytest.mark.parametrize("settings", [{"temperature": "hot"}, {"timeout": -1}, {"max_tokens": True}])
def test_settings_that_are_no_numbers(key: None, settings: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        models.resolve("openai:gpt-5", settings=settings)


# hypothesis also draws constants of the code, the names of real models among them
@given(st.text(max_size=30).filter(lambda name: not name.startswith(("smollm2", "gemma3"))))
def test_any_name_of_nothing_says_why(name: str) -> None:
    with pytest.raises((SpecError, MissingDependency), match=r"\S"):
        models.resolve(f"local:{name}", root=Path("/nonexistent"))


def test_files_of_models(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such model file"):
        models.resolve("local:mine.gguf", root=tmp_path)
    (tmp_path / "mine.gguf").write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(SpecError, match="not a GGUF file"):
        models.resolve("local:mine.gguf", root=tmp_path)


def test_available_models_are_found() -> None:
    for name in local.available():
        assert local.install(name).suffix == ".gguf"  # already here, so nothing is installed


def test_naming_costs_nothing_until_it_is_used() -> None:
    code = "import sys, shiftright.models, shiftright.models.local; print('pydantic_ai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
