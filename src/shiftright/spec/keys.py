"""The contract's keys: one table drives validation, the JSON Schema and the reference.

A key whose engine does not exist yet has ``engine=False``: it is known, documented as planned, and refused.
The engine that arrives flips that flag and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

from shiftright.core.spec import ClauseKind
from shiftright.spec.values import (
    ANYTHING,
    DURATION,
    FILE,
    FILES,
    FRACTION,
    LIMIT,
    MAPPING,
    MONEY,
    NAME,
    PATTERN,
    POINTS,
    POSITIVE,
    SCHEMA,
    SHARES,
    TEXT,
    TEXTS,
    TRUTH,
    Kind,
)


class Key(NamedTuple):
    """One key: what its value is, what it does, and an example where the kind's own would not do."""

    name: str
    kind: Kind
    doc: str
    example: str = ""
    required: bool = False
    engine: bool = True

    @property
    def shown(self) -> str:
        return f"{self.name}: {self.example or self.kind.example}"


class Section(NamedTuple):
    """The keys of one mapping. An ``open`` one takes further keys (a variant's own parameters)."""

    title: str
    keys: tuple[Key, ...]
    open: bool = False

    def get(self, name: str) -> Key | None:
        return next((key for key in self.keys if key.name == name), None)


TOP = Section(
    "Top level",
    (
        Key("feature", NAME, "The feature's name, as commands take it.", required=True),
        Key(
            "extends",
            FILE,
            "A file whose keys apply where this one says nothing (a company's defaults; what it says to the "
            "server, `providers`, `gateway` and `telemetry`, does not concern a contract).",
            "../shiftright.yaml",
        ),
        Key(
            "owner",
            MAPPING,
            "Who answers for the feature.",
            "{is: support-ai@example.com, sign_off: [legal]}",
        ),
        Key(
            "purpose",
            TEXT,
            "What it is for, in one sentence.",
            "Send a message to the queue that can solve it.",
        ),
        Key(
            "run",
            TEXT,
            "The feature: `module:function` beside this file, an http(s) URL, or a command line "
            "(JSON in, JSON out). Not needed where every variant has a `model` or a `run`.",
            "triage:triage",
        ),
        Key(
            "touches",
            TEXTS,
            "What a change must touch to concern this feature (default: this folder).",
            "[triage.py, prompts/**]",
        ),
        Key(
            "variants",
            MAPPING,
            "Named configurations of the feature.",
            "{short: {model: local:smollm2-135m, prompt: short.md}}",
        ),
        Key(
            "baseline",
            NAME,
            "The variant to compare with; default: the stable release, else the merge-base.",
            "zero_shot",
        ),
        Key("cases", FILES, "The gate cases, or a mapping of splits to files.", required=True),
        Key(
            "checks",
            MAPPING,
            "What must hold: named conditions.",
            "{right: {score: exact, max_drop: 3 points}}",
            required=True,
        ),
        Key("confidence", MAPPING, "The decision's error rates.", "{wrong_ship: 5%}"),
        Key(
            "value",
            MAPPING,
            "What one use is worth.",
            "{minutes_saved: 4, hourly_rate: 38 USD, uses_per_month: 42000}",
        ),
        Key("ship", MAPPING, "How a release reaches its users.", "{steps: [5%, 25%, 100%]}"),
        Key("live", MAPPING, "How much of live traffic is scored.", "{sample: 10%, month_at_most: 5 USD}"),
        Key("data", MAPPING, "What is kept of live traffic.", "{redact: [email, card], keep: 30 days}"),
    ),
)

LIVE = Section(
    "live",
    (
        Key("sample", FRACTION, "The share of traces that judges and own scorers see (default 10%).", "10%"),
        Key("month_at_most", MONEY, "What scoring live traces may cost in a month (default 5 USD).", "5 USD"),
    ),
)

SHIP = Section(
    "ship",
    (
        Key(
            "shadow",
            POSITIVE,
            "So many live requests are copied to the candidate before anybody gets its answers (default 0).",
            "200",
        ),
        Key(
            "steps",
            SHARES,
            "Rising shares of the users that get the candidate; the last is 100% (default: 100% at once).",
            "[5%, 25%, 100%]",
        ),
        Key(
            "back_if_drop",
            POINTS,
            "Taken back when a check is worse than what served before by this much (default 5 points).",
            "5 points",
        ),
        Key(
            "give_up",
            DURATION,
            "Taken back when nothing is proven after this time (default 14 days).",
            "14 days",
        ),
        Key("unit", TEXT, "Who keeps an arm: each `user` (default) or each `conversation`.", "conversation"),
        Key(
            "outcome_after",
            DURATION,
            "When a unit counts: so long after its first request, its feedback included (default 10 minutes).",
            "1 h",
        ),
        Key(
            "fallback",
            TEXTS,
            "Asked in this order when the feature fails: variants, `provider:model`, `person:GROUP`.",
            "[rules, person:support]",
        ),
    ),
)
UNITS = ("user", "conversation")

DATA = Section(
    "data",
    (
        Key(
            "redact",
            TEXTS,
            "What is taken out before anything is stored, besides secrets: `email`, `phone`, `card`, `iban`.",
            "[email, card]",
        ),
        Key(
            "keep",
            DURATION,
            "How long `shiftright serve` keeps this feature's traces after their last span (default: as long as there "
            "is room, see `telemetry: {keep_bytes}` of `shiftright.yaml`).",
            "30 days",
        ),
        Key("consent", TEXT, "On what consent.", "required", engine=False),
    ),
)
REDACTABLE = ("email", "phone", "card", "iban")

SERVER_KEYS = frozenset({"providers", "gateway", "telemetry"})
"""What ``shiftright.yaml`` says to the server alone: no part of a contract that extends it."""

CASES = Section(
    "cases",
    (
        Key("dev", FILE, "Cases to tune on; never decide.", "dev.jsonl"),
        Key("gate", FILE, "Cases the decision is made on.", "gate.jsonl", required=True),
        Key("must", FILE, "Cases of which every one has to pass.", "must.jsonl"),
    ),
)

CONFIDENCE = Section(
    "confidence",
    (
        Key("wrong_ship", FRACTION, "How often a bad variant may pass (default 5%).", "5%"),
        Key("wrong_block", FRACTION, "How often a good variant may fail (default 20%).", "20%"),
        Key("false_red", FRACTION, "How often *merge?* may say no to a harmless change (default 5%).", "5%"),
    ),
)

OWNER = Section(
    "owner",
    (
        Key("is", TEXT, "A person's or team's address.", "support-ai@example.com"),
        Key("sign_off", TEXTS, "Who has to agree to a release.", "[legal]"),
    ),
)

VALUE = Section(
    "value",
    (
        Key("minutes_saved", POSITIVE, "Minutes one use saves.", "4"),
        Key("hourly_rate", MONEY, "What an hour of that time costs.", "38 USD"),
        Key("uses_per_month", POSITIVE, "Uses a month.", "42000"),
    ),
)

VARIANT = Section(
    "variants",
    (
        Key(
            "model",
            TEXT,
            "`local:NAME`, `recorded:FILE`, `provider:NAME` or an OpenAI-compatible base URL.",
            "local:smollm2-135m",
        ),
        Key("prompt", FILE, "A prompt file (default template: `{{ input }}`).", "prompts/zero_shot.md"),
        Key("temperature", POSITIVE, "The model's temperature.", "0"),
        Key(
            "run",
            TEXT,
            "Other code for this variant, in the forms of the top-level `run`.",
            "triage:keywords",
        ),
    ),
    open=True,
)

CHECK = Section(
    "checks",
    (
        Key(
            "score",
            TEXT,
            "The scorer: a built-in's name, a plugin's name, or `module:function` beside this file. "
            "Checks with limits in seconds or USD need none.",
            "exact",
        ),
        Key("judge", FILE, "A rubric file; short for `score: judge` with this rubric.", "polite.md"),
        Key("at_least", FRACTION, "The mean score is at least this.", "70%"),
        Key("at_most", FRACTION, "The mean score is at most this.", "2%"),
        Key(
            "comfortable",
            ANYTHING,
            "The level at which the check should pass without effort: the good boundary of `at_least`, "
            "`at_most` or `mean_at_most` (default: midway to the baseline's level, at least 2 points off).",
            "80%",
        ),
        Key("max_drop", POINTS, "The mean score is not worse than the baseline's by this much.", "3 points"),
        Key(
            "min_gain",
            POINTS,
            "The mean score is better than the baseline's; this is the smallest gain worth shipping.",
            "2 points",
        ),
        Key("never_fails", TRUTH, "No single output may fail (score below one half).", "true"),
        Key("p95_at_most", LIMIT, "95% of the calls stay within this.", "2 s"),
        Key(
            "mean_at_most",
            LIMIT,
            "The mean stays within this; proving it needs `each_at_most` too.",
            "0.0004 USD",
        ),
        Key("each_at_most", LIMIT, "Every single call stays within this.", "10 s"),
        Key(
            "month_at_most",
            LIMIT,
            "What the feature may cost in a month: live requests beyond it are refused.",
            "400 USD",
        ),
        Key("guard", TEXT, "A guardrail on live text: `input`, `output` or `both`.", "input", engine=False),
        Key("on_hit", TEXT, "What a guardrail does: `block`, `redact` or `flag`.", "block", engine=False),
        Key(
            "false_alarms_at_most",
            FRACTION,
            "How often a guardrail may stop harmless text.",
            "1%",
            engine=False,
        ),
    ),
)

CLAUSES: tuple[ClauseKind, ...] = (
    "at_least",
    "at_most",
    "max_drop",
    "min_gain",
    "never_fails",
    "p95_at_most",
    "mean_at_most",
    "each_at_most",
)
LIMITS: frozenset[str] = frozenset({"p95_at_most", "mean_at_most", "each_at_most"})

_FIELD = Key("field", TEXT, "The part of output and expected to look at (`a.b` goes deeper).", "queue")
_IGNORE_CASE = Key("ignore_case", TRUTH, "Capitals do not matter.")
_STRIP = Key("strip", TRUTH, "White space around the text does not matter.")

SCORERS: dict[str, tuple[Key, ...]] = {
    "exact": (_FIELD, _IGNORE_CASE, _STRIP),
    "contains": (_FIELD, _IGNORE_CASE),
    "regex": (_FIELD, Key("pattern", PATTERN, "A regular expression to find in the output.", required=True)),
    "schema": (
        _FIELD,
        Key("schema", SCHEMA, "A JSON Schema file, or the schema itself; without it, any JSON will do."),
    ),
    "number": (
        _FIELD,
        Key("tolerance", POSITIVE, "How far from the expected number, in its own unit.", "0.01"),
        Key("relative", POSITIVE, "How far from the expected number, as a share of it.", "0.05"),
    ),
    "similarity": (_FIELD,),
    "judge": (
        _FIELD,
        Key("rubric", FILE, "The rubric file.", "polite.md", required=True),
        Key("labels", FILE, "Labels by people, to say how far the judge agrees with them.", "polite.jsonl"),
        Key("model", TEXT, "The model that judges.", "openai:gpt-5"),
        Key("pairwise", TRUTH, "Compare with the baseline's output, both ways round."),
    ),
    "latency": (),
    "cost": (),
    "feedback": (Key("name", TEXT, "Which feedback (default: all of it).", "thumbs"),),
}
"""Built-in scorers and the params each takes from its check. Plugins and functions take any."""

PARAM_FILES: frozenset[str] = frozenset({"rubric", "labels", "schema"})
LIVE_ONLY: frozenset[str] = frozenset({"feedback"})
"""Scores that no case has: users' feedback on live traffic."""
