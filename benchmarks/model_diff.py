"""Do model diffs say what is true? Against recorded outputs of real models whose true difference is known.

- Verdicts on subsets against the truth of the full files: MMLU-Pro (21 models, every ordered pair) and, with
  ``--data``, BIG-Bench Hard (direct answers against chain of thought, by task).
- With ``--data``: the report GPT-4-0314 → 0613 on Arena-Hard, which has no labels, its claims counted again from the
  raw file; and the refusals it tells beside people's labels (XSTest).

    python benchmarks/model_diff.py --data DIR --html arena.html

A wrong move and a wrong block may be no likelier than stated, within 2 standard errors; ends with 1 otherwise.
``--data`` is a folder with the files named below; the product never reads it. MMLU-Pro is in benchmarks/data.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from heading import header
from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.score import Score
from shiftright.core.spec import Check, Clause, Spec
from shiftright.evals.options import Options
from shiftright.settings import Settings
from shiftright.ship.diff import running
from shiftright.ship.diff.describing import described
from shiftright.ship.diff.findings import ModelDiff, Party
from shiftright.ship.diff.html import to_html
from shiftright.ship.diff.judging import judged
from shiftright.ship.diff.replayed import Replayed
from shiftright.ship.diff.saving import Traffic
from shiftright.ship.diff.text.refusal import refuses
from shiftright.store import open_records

PAIRS = Path(__file__).parent / "data" / "mmlu_pro_pairs.csv.gz"
MARGIN = 0.03
SPEC = Spec(
    "letters", Path("spec.yaml"), checks=(Check("right", "exact", clauses=(Clause("max_drop", MARGIN),)),)
)
ALPHA, BETA, FALSE_RED = 0.05, 0.20, 0.05


class Tally(Counter[str]):
    """Verdicts by what is true: ``bad`` (worse by the margin or more), ``good`` (not worse), ``between``."""

    def add(self, difference: float, verdict: str, merge: str) -> None:
        truth = "bad" if difference <= -MARGIN else "good" if difference >= 0 else "between"
        self[truth] += 1
        self[f"{truth} {verdict}"] += 1
        self[f"{truth} harm"] += merge == "no"

    def share(self, truth: str, what: str) -> str:
        return f"{self[f'{truth} {what}'] / self[truth]:.1%}" if self[truth] else "–"

    def within(self, truth: str, what: str, bound: float) -> bool:
        n = self[truth]
        return not n or self[f"{truth} {what}"] / n <= bound + 2 * sqrt(bound * (1 - bound) / n)

    def row(self, name: str) -> str:
        cells = [
            f"{self['bad']:,}", self.share("bad", "pass"), self.share("bad", "fail"),
            f"{self['good']:,}", self.share("good", "pass"), self.share("good", "fail"), self.share("good", "harm"),
            f"{self['between']:,}",
        ]  # fmt: skip
        return f"| {name} | " + " | ".join(cells) + " |"

    @property
    def holds(self) -> bool:
        return (
            self.within("bad", "pass", ALPHA)
            and self.within("good", "fail", BETA)
            and self.within("good", "harm", FALSE_RED)
        )


def replayed(right: Sequence[tuple[str, bool, bool]]) -> list[Replayed]:
    """(id, old is right, new is right) as a diff sees them."""
    answer = Answer("A")
    return [
        Replayed(Case(id_), id_, True, answer, answer, _score(old), _score(new)) for id_, old, new in right
    ]


def _score(right: bool) -> dict[str, Score]:
    return {"right": Score("right", float(right))}


NEAR = 0.05


def mmlu(size: int, subsets: int, seed: int) -> tuple[Tally, Tally]:
    """Every ordered pair of models on random subsets, and those within 5 points of each other again; the truth is the
    difference on all questions."""
    with gzip.open(PAIRS, "rt") as file:
        rows = list(csv.DictReader(file))
    models = [
        name for name in rows[0] if name not in ("question_id", "category", "answer", "n_options", "src")
    ]
    rows = [row for row in rows if all(row[model] != "?" for model in models)]
    right = {model: [row[model] == row["answer"] for row in rows] for model in models}
    means = {model: sum(values) / len(values) for model, values in right.items()}
    tally, near, rng = Tally(), Tally(), random.Random(seed)
    for old in models:
        for new in models:
            if old == new:
                continue
            for _ in range(subsets):
                chosen = rng.sample(range(len(rows)), size)
                cases = replayed([(str(i), right[old][i], right[new][i]) for i in chosen])
                verdict = judged(SPEC, cases)
                for kept in (tally, near) if abs(means[new] - means[old]) <= NEAR else (tally,):
                    kept.add(means[new] - means[old], verdict.verdict, verdict.merge)
    return tally, near


def bbh(path: Path, size: int, replications: int, seed: int) -> tuple[Tally, Tally]:
    """Chain of thought against direct answers: on subsets of one task each, and in both directions over all tasks."""
    rows = list(_lines(path))
    tasks: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        tasks[row["task"]].append(row)
    rng, by_task, whole = random.Random(seed), Tally(), Tally()
    for forward in (True, False):
        sides = ("direct_correct", "cot_correct") if forward else ("cot_correct", "direct_correct")
        for found in tasks.values():
            truth = _difference(found, *sides)
            for _ in range(replications // 10):
                _judge(by_task, truth, rng.choices(found, k=len(found)), sides)
        truth = _difference(rows, *sides)
        for _ in range(replications):
            _judge(whole, truth, rng.sample(rows, size), sides)
    return by_task, whole


def _difference(rows: Sequence[dict[str, Any]], old: str, new: str) -> float:
    return sum(row[new] - row[old] for row in rows) / len(rows)


def _judge(tally: Tally, truth: float, rows: Sequence[dict[str, Any]], sides: tuple[str, str]) -> None:
    cases = [(str(i), bool(row[sides[0]]), bool(row[sides[1]])) for i, row in enumerate(rows)]
    verdict = judged(SPEC, replayed(cases))
    tally.add(truth, verdict.verdict, verdict.merge)


def bbh_slices(path: Path) -> str:
    """Chain of thought for direct answers on all of BIG-Bench Hard: tasks that a diff marks worse, beside the truth."""
    rows = list(_lines(path))
    answers = [
        Replayed(
            Case(f"{row['task']}/{i}", row["question"], expected=row["target"], tags=(row["task"],)),
            f"{row['task']}/{i}", True, Answer(row["direct"]), Answer(row["cot_answer"]),
            _score(row["direct_correct"]), _score(row["cot_correct"]),
        )
        for i, row in enumerate(rows)
    ]  # fmt: skip
    sides = Party("direct", "", ""), Party("chain of thought", "", "")
    use = Traffic(None, "none")
    found = described(
        answers, SPEC, old=sides[0], new=sides[1], inputs=f"{len(rows):,} questions", traffic=use
    )
    marked = [f"{row.tag} ({row.change:+.1%} of {row.n})" for row in found.slices if row.worse]
    lower = [f"{row.tag} ({row.change:+.1%})" for row in found.slices if not row.worse and row.change < 0]
    told = (
        f"tasks marked worse: {', '.join(marked) or 'none'}; lower, not marked: {', '.join(lower) or 'none'}"
    )
    return f"{found.verdict}; {told}"


def arena(path: Path, old: str, new: str) -> ModelDiff:
    """The whole command on recorded answers, without labels or checks that need one."""
    rows = list(_lines(path))
    folder = Path(tempfile.mkdtemp())
    try:
        _project(folder, rows, [old, new])
        settings = Settings.load(folder, env={})
        asked = running.Asked("chat", _variant(old), _variant(new))
        with open_records(settings.records_url) as records:
            prepared = running.prepare(asked, settings, records, None, Options())
            return asyncio.run(running.run(prepared, records, Options()))
    finally:
        shutil.rmtree(folder)


def _project(folder: Path, rows: Sequence[dict[str, Any]], models: Sequence[str]) -> None:
    (folder / ".shiftright").mkdir()
    variants = "".join(f"  {_variant(model)}: {{run: 'recorded:{model}.jsonl'}}\n" for model in models)
    (folder / "spec.yaml").write_text(
        f"feature: chat\nbaseline: {_variant(models[0])}\nvariants:\n{variants}cases: cases.jsonl\n"
        "checks:\n  latency: {p95_at_most: 60 s}\n"
    )
    _write(
        folder / "cases.jsonl",
        ({"id": row["id"], "input": row["prompt"], "tags": [row["cluster"]]} for row in rows),
    )
    for model in models:
        _write(
            folder / f"{model}.jsonl",
            ({"case_id": row["id"], "output": row["outputs"][model]} for row in rows),
        )


def _variant(model: str) -> str:
    return model.replace("-", "_").replace(".", "_")


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        for line in file:
            yield json.loads(line)


def claims(found: ModelDiff, path: Path, old: str, new: str) -> list[str]:
    """What the report says of length, refusals and code, counted again from the raw file by other means."""
    rows = list(_lines(path))
    sides = {name: [row["outputs"][name] for row in rows] for name in (old, new)}
    length = next(item for item in found.amounts if item.name == "length")
    means = [sum(map(len, sides[name])) / len(rows) for name in (old, new)]
    halved = sum(2 * len(b) <= len(a) and len(a) >= 80 for a, b in zip(sides[old], sides[new], strict=True))
    said = {group.name: group for group in found.behaviours}
    group = said.get("shorter by half or more")
    declined = [sum("can't assist with that" in text[:120] for text in sides[name]) for name in (old, new)]
    refused = next((item for item in found.measures if item.name == "refused"), None)
    told = "–" if refused is None else f"{refused.old * refused.n:.0f} → {refused.new * refused.n:.0f}"
    return [
        f"- mean length {length.old:.1f} → {length.new:.1f} characters; counted again {means[0]:.1f} → {means[1]:.1f}",
        f"- shorter by half or more: {group.n if group else 0}; counted again, refusals among them, {halved}",
        f"- refused: {told}; with \"can't assist with that\" at the beginning: {declined[0]} → {declined[1]}",
    ]  # fmt: skip


def refusals(path: Path) -> str:
    """Told refusals beside people's labels."""
    counts: Counter[tuple[str, bool]] = Counter()
    for row in _lines(path):
        for answer in row["models"].values():
            counts[answer["human_final"], refuses(answer["completion"])] += 1
    parts = []
    for label in ("1_full_compliance", "2_full_refusal", "3_partial_refusal"):
        told, n = counts[label, True], counts[label, True] + counts[label, False]
        parts.append(f"{label[2:].replace('_', ' ')}: {told} of {n} ({told / n:.1%})")
    return "; ".join(parts)


HEAD = (
    "| inputs | worse by 3 points or more | told pass (≤ 5 %) | told fail | not worse | told pass | "
    "told fail (≤ 20 %) | loss called proven (≤ 5 %) | in between |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a folder with bbh_, arena_hard_ and xstest_ files")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 600, 1500])
    parser.add_argument("--subsets", type=int, default=5, help="random subsets a pair of models")
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--html", type=Path, help="write the Arena-Hard report here")
    arguments = parser.parse_args()
    print(header("Model diffs against the truth"), HEAD, sep="\n")
    tallies = []
    for size in arguments.sizes:
        found = mmlu(size, arguments.subsets, arguments.seed)
        names = (f"MMLU-Pro, {size:,} questions", f"the pairs within 5 points, {size:,} questions")
        tallies += list(zip(names, found, strict=True))
    if arguments.data:
        found = bbh(
            arguments.data / "bbh_codex_direct_vs_cot.jsonl.gz", 600, arguments.replications, arguments.seed
        )
        tallies += list(zip(("BBH, one task (drawn again)", "BBH, 600 of all tasks"), found, strict=True))
    for name, tally in tallies:
        print(tally.row(name))
    if arguments.data:
        _describe(arguments.data, arguments.html)
    return 0 if all(tally.holds for _, tally in tallies) else 1


def _describe(data: Path, html: Path | None) -> None:
    print("\n## Chain of thought for direct answers, BIG-Bench Hard\n")
    print(bbh_slices(data / "bbh_codex_direct_vs_cot.jsonl.gz"))
    path, old, new = data / "arena_hard_three_gpt_versions.jsonl.gz", "gpt-4-0314", "gpt-4-0613"
    started = time.monotonic()
    found = arena(path, old, new)
    print(f"\n## {old} → {new}, {found.inputs} of Arena-Hard, {time.monotonic() - started:.1f} s\n")
    print("\n".join(found.recommendation), "", sep="\n")
    for group in found.behaviours[:10]:
        print(f"- {group.name}: {group.n}, back {group.back}{', beyond chance' if group.marked else ''}")
    print("\nCounted again from the raw file:\n")
    print("\n".join(claims(found, path, old, new)))
    print("\nRefusals told, of answers that people labelled (XSTest, 5 models): ", end="")
    print(refusals(data / "xstest_human_labelled.jsonl.gz"))
    if html is not None:
        html.write_text(to_html(found), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
