"""Rebuild the data that ships with shiftright from the public files it was taken from (NOTICE names them).

    python scripts/make_examples.py --banking77 banking77.csv.gz --mmlu-pro mmlu_pro_item_by_model.csv.gz \\
        --mmlu-pro-questions mmlu_pro_outputs_sample.jsonl.gz --tau-bench tau_bench_gpt4o_airline.jsonl.gz

Input formats: ``text, category, split`` (Banking77); ``question_id, category, answer, n_options, src``, one column a
model with the letter it chose (MMLU-Pro); ``question_id, question`` (its texts); ``task_id, trial, reward``
(tau-bench). The output is the same bytes every time.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "src" / "shiftright" / "examples"
SEED = 77
GATE, DEV = 400, 120
QUESTION_CHARACTERS = 160
OLD, NEW = "Mixtral-8x7B-Instruct-v0.1", "mathstral-7B"

# Intents whose queue is not in doubt; a message about a card's PIN, say, could go to two of them.
QUEUES = {
    "identity": (
        "verify_my_identity",
        "why_verify_identity",
        "unable_to_verify_identity",
        "verify_source_of_funds",
    ),
    "exchange": ("exchange_rate", "exchange_via_app", "exchange_charge", "fiat_currency_support"),
    "transfers": (
        "transfer_not_received_by_recipient",
        "cancel_transfer",
        "failed_transfer",
        "beneficiary_not_allowed",
    ),
    "security": ("lost_or_stolen_card", "lost_or_stolen_phone", "compromised_card"),
    "cards": ("order_physical_card", "card_arrival", "card_delivery_estimate", "card_about_to_expire"),
}
QUEUE_OF = {intent: queue for queue, intents in QUEUES.items() for intent in intents}
MUST = ROOT / "scripts" / "must_messages.txt"

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("banking77", "mmlu-pro", "mmlu-pro-questions", "tau-bench"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    paths = parser.parse_args()
    triage(paths.banking77)
    compare(paths.mmlu_pro, paths.mmlu_pro_questions)
    repeated(paths.tau_bench)
    copied(paths.mmlu_pro, ROOT / "benchmarks" / "data" / "mmlu_pro_pairs.csv.gz")


def triage(source: Path) -> None:
    """The gate from the data set's own test half; all that is tuned on, or shown to the model, from its train half."""
    halves: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    seen: set[str] = set()
    for row in read_csv(source):
        text, intent = " ".join(row["text"].split()), row["category"]
        same = " ".join(sorted(set(re.findall(r"[a-z']+", text.lower()))))
        if intent in QUEUE_OF and same not in seen:
            seen.add(same)
            halves[row["split"]].append((text, intent))
    for half in halves.values():
        random.Random(SEED).shuffle(half)  # noqa: S311  the same split every time is the point
    wanted = MUST.read_text(encoding="utf-8").splitlines()
    known = dict(halves["train"])
    missing = [text for text in wanted if text not in known]
    if missing:
        raise SystemExit(f"{MUST.name}: not in the train half: {missing}")
    rest = [pair for pair in halves["train"] if pair[0] not in set(wanted)]
    folder = EXAMPLES / "triage"
    write(folder / "must.jsonl", cases("must", [(text, known[text]) for text in wanted]))
    write(folder / "gate.jsonl", cases("gate", halves["test"][:GATE]))
    write(folder / "dev.jsonl", cases("dev", rest[:DEV]))
    write(folder / "train.jsonl", cases("train", rest[DEV:]))


def cases(split: str, pairs: Iterable[tuple[str, str]]) -> Iterable[Row]:
    for number, (text, intent) in enumerate(pairs, 1):
        yield {
            "id": f"{split}-{number:04}",
            "input": text,
            "expected": {"queue": QUEUE_OF[intent]},
            "tags": [intent.strip("?").lower()],
        }


def compare(answers: Path, questions: Path) -> None:
    """Two models on the questions whose text is at hand, cut to a size one can read."""
    with gzip.open(questions, "rt", encoding="utf-8") as lines:
        texts = {str(row["question_id"]): row["question"] for row in map(json.loads, lines)}
    rows = [row for row in read_csv(answers) if row["question_id"] in texts]
    for model in (OLD, NEW):
        write(
            EXAMPLES / "compare" / f"{model.lower()}.jsonl",
            (
                {
                    "case_id": f"mmlu-pro-{row['question_id']}",
                    "input": shortened(texts[row["question_id"]]),
                    "output": None if row[model] == "-" else row[model],  # no answer found in its text
                    "expected": row["answer"],
                    "score": int(row[model] == row["answer"]),
                    "tags": [row["category"]],
                }
                for row in rows
            ),
        )


def repeated(source: Path) -> None:
    """Four trials of one unchanged agent on the same tasks, one file a trial."""
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for trial in sorted({row["trial"] for row in rows}):
        ran = sorted((row for row in rows if row["trial"] == trial), key=lambda row: int(row["task_id"]))
        write(
            EXAMPLES / "compare" / f"unchanged-trial-{trial + 1}.jsonl",
            (
                {
                    "case_id": f"airline-{row['task_id']}",
                    "input": shortened(row["info"]["task"]["instruction"]),
                    "score": int(row["reward"]),
                }
                for row in ran
            ),
        )


def copied(source: Path, target: Path) -> None:
    """The file as it is; a gzip header without a time, so that the bytes are stable."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        gzip.open(source) as old,
        target.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=0) as new,
    ):
        shutil.copyfileobj(old, new)


def shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= QUESTION_CHARACTERS else text[: QUESTION_CHARACTERS - 1].rstrip() + "…"


def read_csv(path: Path) -> Iterable[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
