"""The contract as people write it, and every way to get it wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shiftright import spec
from shiftright.core.spec import Confidence, Spec
from shiftright.errors import SpecError

FULL = """\
feature: triage
owner: {is: support-ai@example.com, sign_off: [legal]}
purpose: Send a customer's message to the queue that can solve it.
run: triage:triage
touches: [triage.py, prompts/**]
baseline: zero_shot
variants:
  zero_shot: {model: local:smollm2-135m, prompt: zero.md, temperature: 0, k: 5}
  rules:     {run: triage:keywords}
cases: {dev: dev.jsonl, gate: gate.jsonl, must: must.jsonl}
checks:
  right:   {score: exact, field: queue, at_least: 70%, comfortable: 80%, max_drop: 3 points}
  polite:  {judge: polite.md, labels: polite.jsonl, at_least: 90%}
  json:    {score: schema, never_fails: true}
  shape:   {score: triage:shape, wanted: [a, b], at_most: 0.02}
  cost:    {mean_at_most: 0.0004 USD, each_at_most: $0.005}
  latency: {p95_at_most: 800 ms, each_at_most: 1 min}
confidence: {wrong_ship: 1%}
value: {minutes_saved: 4, hourly_rate: 38 USD, uses_per_month: 42000}
"""
MINIMAL = """\
feature: triage
run: triage:triage
cases: gate.jsonl
checks:
  right: {score: exact, max_drop: 3 points}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("dev.jsonl", "gate.jsonl", "must.jsonl", "polite.jsonl"):
        (tmp_path / name).write_text('{"input": 1}\n')
    (tmp_path / "polite.md").write_text("Is it polite?")
    (tmp_path / "zero.md").write_text("{{ input }}")
    return tmp_path


def write(folder: Path, text: str, name: str = "spec.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def refused(folder: Path, text: str) -> SpecError:
    path = write(folder, text)
    with pytest.raises(SpecError) as caught:
        spec.load(path)
    assert caught.value.file == str(path)
    assert caught.value.line
    assert caught.value.hint or "YAML" in caught.value.message
    return caught.value


def test_the_full_contract_is_read_in_natural_units(folder: Path) -> None:
    contract = spec.load(write(folder, FULL))
    stated = {
        check.name: [(c.kind, c.bound, c.comfortable) for c in check.clauses] for check in contract.checks
    }
    assert stated == {
        "right": [("at_least", 0.7, 0.8), ("max_drop", 0.03, None)],
        "polite": [("at_least", 0.9, None)],
        "json": [("never_fails", 0.0, None)],
        "shape": [("at_most", 0.02, None)],
        "cost": [("mean_at_most", 0.0004, None), ("each_at_most", 0.005, None)],
        "latency": [("p95_at_most", 0.8, None), ("each_at_most", 60.0, None)],
    }
    scores = {check.name: check.score for check in contract.checks}
    assert scores == {
        "right": "exact", "polite": "judge", "json": "schema", "shape": "triage:shape", "cost": "cost",
        "latency": "latency",
    }  # fmt: skip
    assert contract.check("right").params == {"field": "queue"}
    assert contract.check("polite").params["rubric"] == str((folder / "polite.md").resolve())
    assert contract.check("shape").params == {"wanted": ["a", "b"]}
    assert contract.check("right").clauses[0].line == 12
    assert contract.variants["zero_shot"].settings == {
        "model": "local:smollm2-135m", "prompt": "zero.md", "temperature": 0, "k": 5,
    }  # fmt: skip
    assert contract.variants["rules"].run == "triage:keywords"
    assert contract.confidence == Confidence(wrong_ship=0.01)
    assert set(contract.cases) == {"dev", "gate", "must"}
    assert contract.value["hourly_rate"] == 38
    assert contract.owner["sign_off"] == ("legal",)
    assert contract.touches == ("triage.py", "prompts/**")


def test_a_folder_stands_for_its_spec_and_one_file_is_the_gate(folder: Path) -> None:
    write(folder, MINIMAL)
    assert spec.load(folder).cases == {"gate": (folder / "gate.jsonl").resolve()}


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("feature:", "feture:", 1, "unknown key 'feture'|'feature'"),
        ("feature: triage", "feature: 'a b'", 1, "is 'a b'|name"),
        ("run: triage:triage\n", "", 1, "nothing to run"),
        ("triage:triage", "ftp://host/x", 2, "not an http(s) URL"),
        ("cases: gate.jsonl\n", "", 1, "cases is missing"),
        ("gate.jsonl", "nowhere.jsonl", 3, "no file nowhere.jsonl"),
        ("gate.jsonl", "{dev: dev.jsonl}", 3, "gate is missing"),
        ("gate.jsonl", "[1]", 3, "a list"),
        ("checks:\n  right: {score: exact, max_drop: 3 points}\n", "checks: {}\n", 4, "decides nothing"),
        ("checks:\n  right: {score: exact, max_drop: 3 points}\n", "checks:\n", 4, "nothing"),
        ("checks:\n  right: {score: exact, max_drop: 3 points}\n", "", 1, "checks is missing"),
        ("{score: exact, max_drop: 3 points}", "exact", 5, "not a mapping"),
        ("max_drop", "max_dorp", 5, "'max_dorp'|Did you mean 'max_drop'"),
        ("max_drop: 3 points", "", 5, "has no condition"),
        ("score: exact, ", "", 5, "does not say what it measures"),
        ("3 points", "-3 points", 5, "-3 points|more than 0"),
        ("3 points", "0", 5, "more than 0"),
        ("3 points", "3", 5, "write 3 points"),
        ("3 points", "three", 5, "'three'|expected points such as 3 points"),
        ("3 points", "3 kg", 5, "'kg'"),
        ("max_drop: 3 points", "at_least: 140%", 5, "between 0% and 100%"),
        ("max_drop: 3 points", "at_least: 70", 5, "write 70%"),
        ("max_drop: 3 points", "at_least: 0%", 5, "holds always"),
        ("max_drop: 3 points", "at_least: 100%", 5, "never_fails: true"),
        ("max_drop: 3 points", "at_least: [70%]", 5, "a list"),
        ("max_drop: 3 points", "at_least: 70%, comfortable: 60%", 5, "wrong side"),
        ("max_drop: 3 points", "at_most: 2%, comfortable: 3%", 5, "wrong side"),
        ("max_drop: 3 points", "max_drop: 3 points, comfortable: 60%", 5, "exactly one"),
        ("max_drop: 3 points", "at_least: 70%, at_most: 60%", 5, "at_least is above at_most"),
        ("max_drop: 3 points", "never_fails: false", 5, "asks for nothing"),
        ("max_drop: 3 points", "never_fails: yes", 5, "expected true or false"),
        ("max_drop: 3 points", "p95_at_most: 2 s", 5, "limits latency, but the check scores 'exact'"),
        ("score: exact, max_drop: 3 points", "p95_at_most: 0 s", 5, "more than 0"),
        ("score: exact, max_drop: 3 points", "p95_at_most: 2", 5, "unit is missing"),
        ("score: exact, max_drop: 3 points", "p95_at_most: 2 EUR", 5, "'EUR'"),
        (
            "score: exact, max_drop: 3 points",
            "p95_at_most: 2 s, each_at_most: 1 s",
            5,
            "can never be reached",
        ),
        ("score: exact, max_drop: 3 points", "p95_at_most: 2 s, mean_at_most: 1 USD", 5, "mixes"),
        ("score: exact, max_drop: 3 points", "p95_at_most: 2 s, max_drop: 3 points", 5, "not a share"),
        (
            "score: exact, max_drop: 3 points",
            "mean_at_most: 2 s, comfortable: 1 USD",
            5,
            "comfortable is in USD",
        ),
        ("score: exact", "score: exactt", 5, "no scorer 'exactt'|Did you mean 'exact'"),
        ("score: exact", "score: exact, pattern: a", 5, "unknown key 'pattern'"),
        ("score: exact", "score: regex", 5, "regex needs pattern"),
        ("score: exact", "score: regex, pattern: '('", 5, "not a regular expression"),
        ("score: exact", "score: exact, ignore_case: 1", 5, "true or false"),
        ("score: exact", "score: number, tolerance: -1", 5, "below 0"),
        ("score: exact", "score: a:b, max_dropp: 3", 5, "Did you mean 'max_drop'"),
        ("score: exact", "judge: nowhere.md", 5, "no file nowhere.md"),
        ("score: exact", "judge: polite.md, labels: none.jsonl", 5, "no file none.jsonl"),
        ("score: exact", "judge: polite.md, score: exact", 5, "both judge and score"),
        ("score: exact", "score: schema, schema: none.json", 5, "no file none.json"),
        ("score: exact", "score: feedback", 5, "max_drop is against a baseline"),
        (
            "checks:\n  right: {score: exact, max_drop: 3 points}",
            "checks: {h: {score: feedback, at_least: 80%}}",
            4,
            "only live traffic",
        ),
        ("score: exact", "guard: input", 5, "no engine for 'guard'"),
        ("score: exact", "score: exact, on_hit: block", 5, "no engine for 'on_hit'"),
        ("score: exact", "score: exact, false_alarms_at_most: 1%", 5, "no engine for 'false_alarms_at_most'"),
        (
            "score: exact",
            "score: exact, month_at_most: 4 USD",
            5,
            "limits cost, but the check scores 'exact'",
        ),
        ("score: exact, max_drop: 3 points", "month_at_most: 4 s", 5, "an amount of money"),
        ("checks:", "ship: {shadow: 0.5}\nchecks:", 4, "a number of requests is whole"),
        ("checks:", "ship: {steps: [25%, 5%, 100%]}\nchecks:", 4, "shares of users rise"),
        ("checks:", "ship: {steps: [5%, 25%]}\nchecks:", 4, "end with 100%"),
        ("checks:", "ship: {unit: usr}\nchecks:", 4, "Did you mean 'user'"),
        ("checks:", "ship: {fallback: [rule]}\nchecks:", 4, "unknown key 'rule'"),
        ("checks:", "data: {keep: 30}\nchecks:", 4, "the unit is missing"),
        ("checks:", "data: {redact: [emial]}\nchecks:", 4, "Did you mean 'email'"),
        ("checks:", "live: {sample: 0%}\nchecks:", 4, "more than 0%"),
        ("checks:", "confidence: {wrong_ship: 60%}\nchecks:", 4, "at most 50%"),
        ("checks:", "confidence: {wrong_shop: 5%}\nchecks:", 4, "Did you mean 'wrong_ship'"),
        ("checks:", "confidence: 5%\nchecks:", 4, "a mapping"),
        ("checks:", "baseline: b\nchecks:", 4, "no variant 'b'"),
        ("checks:", "variants: {a: {}, b: 3}\nchecks:", 4, "variants.b is not a mapping"),
        ("checks:", "variants: {a: {temperature: hot}}\nchecks:", 4, "'hot'|a number"),
        ("checks:", "variants: {a: {model: 3}}\nchecks:", 4, "not text"),
        ("checks:", "variants: {a: {prompt: none.md}}\nchecks:", 4, "no file none.md"),
        ("checks:", "owner: {if: me}\nchecks:", 4, "unknown key 'if'"),
        ("checks:", "feature: again\nchecks:", 4, "a second time"),
        ("checks:", "extends: none.yaml\nchecks:", 4, "no file none.yaml"),
        ("checks:", "extends: spec.yaml\nchecks:", 4, "in turn"),
        ("checks:", "touches: !!python/object/apply:os.system [ls]\nchecks:", 4, "tag"),
        ("checks:", "x: [\nchecks:", 6, "not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    folder: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in MINIMAL
    error = refused(folder, MINIMAL.replace(old, new))
    text = f"{error.message}\n{error.hint}".lower()
    assert error.line == line, str(error)
    for word in words.lower().split("|"):
        assert word in text


def test_a_variant_needs_something_to_run(folder: Path) -> None:
    text = MINIMAL.replace("run: triage:triage\n", "variants:\n  a: {model: m}\n  b: {temperature: 0}\n")
    error = refused(folder, text)
    assert (error.line, "b has neither model nor run" in error.message) == (4, True)
    fine = text.replace("  b: {temperature: 0}\n", "")
    assert spec.load(write(folder, fine)).run is None


@pytest.mark.parametrize(
    "run", ["triage:triage", "https://host/feature", "node triage.mjs --fast", "pkg.mod:Class.call"]
)
def test_forms_of_run(folder: Path, run: str) -> None:
    assert spec.load(write(folder, MINIMAL.replace("triage:triage", run))).run == run


def test_a_missing_a_huge_and_an_undecodable_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No such file"):
        spec.load(tmp_path / "none")
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"feature: a\n#" + b"x" * 1_000_000)
    with pytest.raises(SpecError, match="larger than"):
        spec.load(path)
    path.write_bytes(b"feature: a\npurpose: caf\xe9\n")
    with pytest.raises(SpecError, match=r":2: byte 0xe9 is not UTF-8"):
        spec.load(path)
    path.write_text("")
    with pytest.raises(SpecError, match="is empty"):
        spec.load(path)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "\n".join(["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]),
        "a: &a [*a]",
    ],
)
def test_bombs_and_cycles_are_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SpecError, match=r"nested deeper|aliases expand|stands for nothing"):
        spec.load(path)


def test_defaults_lie_underneath_and_keep_their_own_paths(folder: Path) -> None:
    company = folder.parent / f"{folder.name}-company"
    company.mkdir()
    (company / "tone.md").write_text("Is it polite?")
    (company / "base.md").write_text("{{ input }}")
    write(
        company,
        "confidence: {wrong_ship: 1%, false_red: 2%}\n"
        "checks:\n  tone: {judge: tone.md, at_least: 90%}\n  latency: {p95_at_most: 2 s}\n"
        "variants:\n  base: {model: m, prompt: base.md}\n",
        "shiftright.yaml",
    )
    extends = f"extends: ../{company.name}/shiftright.yaml\n"
    text = MINIMAL + "  latency: {p95_at_most: 5 s}\n" + extends + "confidence: {wrong_ship: 3%}\n"
    contract = spec.load(write(folder, text))
    assert contract.confidence == Confidence(wrong_ship=0.03, false_red=0.02)
    assert {check.name for check in contract.checks} == {"tone", "latency", "right"}
    assert contract.check("latency").clauses[0].bound == 5
    assert contract.check("tone").params["rubric"] == str((company / "tone.md").resolve())
    prompt = contract.root / contract.variants["base"]["prompt"]
    assert prompt.resolve() == (company / "base.md").resolve()
    write(company, "checks:\n  tone: {judge: lost.md, at_least: 90%}\n", "shiftright.yaml")
    with pytest.raises(SpecError, match=r"shiftright.yaml:2: .*no file lost.md"):
        spec.load(folder)


def test_what_the_company_tells_the_server_is_no_part_of_a_contract(folder: Path) -> None:
    company = (
        'providers:\n  vllm: {base_url: "http://gpu-1:8000/v1"}\n'
        "gateway: {default: vllm, cache: 10 min}\n"
        "telemetry: {keep_bytes: 5000000000}\n"
        "data: {redact: [email], keep: 90 days}\n"
    )
    write(folder, company, "shiftright.yaml")
    contract = spec.load(write(folder, "extends: shiftright.yaml\ndata: {keep: 30 days}\n" + MINIMAL))
    assert contract.data == {"redact": ("email",), "keep": 30 * 86400.0}
    with pytest.raises(SpecError, match="unknown key 'gateway'"):
        spec.load(write(folder, "gateway: {default: vllm}\n" + MINIMAL))


def test_the_digest_covers_what_decides_and_nothing_else(folder: Path) -> None:
    def digest(text: str = FULL) -> str:
        return spec.load(write(folder, text)).digest

    before = digest()
    assert (
        digest("# a comment\n" + FULL.replace("70%", "0.70").replace("  right:   {", "  right: {")) == before
    )
    (folder / "polite.jsonl").write_text('{"input": 2}\n')
    assert digest(FULL.replace("purpose: Send", "purpose: Route")) == before
    assert digest(FULL.replace("3 points", "4 points")) != before
    assert digest(FULL.replace("wrong_ship: 1%", "wrong_ship: 2%")) != before
    assert digest(FULL.replace("field: queue", "field: other")) != before
    assert digest(FULL.replace("comfortable: 80%", "comfortable: 81%")) != before
    (folder / "polite.md").write_text("Is it very polite?")
    assert digest() != before
    rubric = digest()
    (folder / "triage.py").write_text("def shape(ctx): return 1.0\n")
    assert digest() != rubric


SYNTAX = st.sampled_from(
    ["{", "}", "[", "]", ":", ",", "\n", "'", "&a", "*a", "!!x", "- ", "?", "|", "<<", "%", "-1", "null"]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(FULL)), st.integers(0, 6), SYNTAX), min_size=1, max_size=4))
def test_no_damage_raises_anything_but_a_spec_error(folder: Path, damage: list[tuple[int, int, str]]) -> None:
    text = FULL
    for at, width, syntax in damage:
        text = text[:at] + syntax + text[at + width :]
    with contextlib.suppress(SpecError):
        spec.load(write(folder, text))


def test_merge_keys_and_aliases_are_plain_yaml(folder: Path) -> None:
    text = MINIMAL + "variants:\n  a: &a {model: m, k: 1}\n  b: {<<: *a, k: 2}\n"
    assert spec.load(write(folder, text)).variants["b"].settings == {"model": "m", "k": 2}


@pytest.mark.parametrize(
    ("old", "new"),
    [("3 points", "N points"), ("3 points", "3 N"), ("exact", "aN"), ("gate.jsonl", "N.jsonl")],
)
def test_what_is_quoted_in_an_error_is_cut(folder: Path, old: str, new: str) -> None:
    (folder / "spec.yaml").write_text(MINIMAL.replace(old, new.replace("N", "9" * 5000)))
    with pytest.raises(SpecError, match="characters") as caught:
        spec.load(folder)
    assert len(str(caught.value)) < 1000
    assert caught.value.line


def test_a_link_to_itself_is_said_with_its_line(folder: Path) -> None:
    (folder / "spec.yaml").write_text(MINIMAL)
    (folder / "gate.jsonl").unlink()
    (folder / "gate.jsonl").symlink_to("gate.jsonl")
    with pytest.raises(SpecError, match=r"spec.yaml:3: .*gate.jsonl"):
        spec.load(folder)


def test_a_budget_for_the_month_is_no_part_of_what_is_decided(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"input": "a", "expected": "a"}\n')
    text = "feature: f\nrun: f:f\ncases: cases.jsonl\nchecks:\n  right: {score: exact, at_least: 70%}\n"

    def read(more: str) -> Spec:
        (tmp_path / "spec.yaml").write_text(text + more)
        return spec.load(tmp_path / "spec.yaml")

    plain, budget = read(""), read("  cost: {month_at_most: 400 USD}\n")
    assert budget.checks[1].month_at_most_usd == 400
    assert budget.checks[1].score == "cost"
    assert budget.digest == plain.digest, "raising a budget is no second try at a verdict"
