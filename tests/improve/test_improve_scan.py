from __future__ import annotations

from pathlib import Path

import pytest

from shiftright.errors import UsageError
from shiftright.improve.scan import Found, scan

PYTHON = '''\
import os
from openai import OpenAI
from langchain_openai import ChatOpenAI

SYSTEM_PROMPT = "You are a helpful assistant that sorts letters."
client = OpenAI()

def triage(text):
    """Calls the model."""
    return client.chat.completions.create(model="gpt-5-mini", messages=[])

class Sorter:
    async def sort(self, text):
        chat = ChatOpenAI(model="gpt-5")
        await self.claude.messages.create(model="claude-sonnet-5")
        return await chat.ainvoke(text)

os.system("exit 1")
'''
SCRIPT = """\
import { generateText } from 'ai';
import { openai } from '@ai-sdk/openai';
// generateText( is not called here
const systemPrompt = `You are kind.`;
export const ask = (q) => generateText({ model: openai('gpt-5-nano'), prompt: q });
"""


def test_calls_models_and_prompts_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PYTHON)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "ask.ts").write_text(SCRIPT)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "x.js").write_text(SCRIPT)
    found = scan(tmp_path)
    calls = [
        (each.file, each.line, each.what, each.library, each.within)
        for each in found.found
        if each.kind == "call"
    ]
    assert calls == [
        ("app.py", 10, "client.chat.completions.create", "openai", "triage"),
        ("app.py", 15, "self.claude.messages.create", "", "Sorter.sort"),
        ("app.py", 16, "chat.ainvoke", "langchain", "Sorter.sort"),
        ("web/ask.ts", 5, "generateText", "ai", ""),
    ]
    models = {each.what for each in found.found if each.kind == "model"}
    assert models == {"gpt-5-mini", "gpt-5", "claude-sonnet-5", "gpt-5-nano"}
    prompts = {each.what for each in found.found if each.kind == "prompt"}
    assert prompts == {"SYSTEM_PROMPT", "systemPrompt"}


def test_code_without_models_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("import subprocess\nsubprocess.run(['ls'])\nmodel = 'gpt-4'\n")
    assert scan(tmp_path).found == ()


@pytest.mark.parametrize("text", ["def (", "x = " + "(" * 5000, "\0", "a" * 1_000_001])
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.py").write_text(text)
    (tmp_path / "good.py").write_text("import litellm\nlitellm.completion(model='gpt-5')\n")
    found = scan(tmp_path)
    assert found.unreadable == ("odd.py",)
    assert Found("call", "good.py", 2, "litellm.completion", "litellm") in found.found


def test_a_file_is_no_code_base(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        scan(tmp_path / "nowhere")
