"""Changes of behaviour, grouped: which inputs changed in which way, with the most telling pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from shiftright.core.spec import Spec
from shiftright.evals.compare.advisory import FALSE_DISCOVERIES
from shiftright.evals.compare.unit_means import UnitMeans
from shiftright.ship.diff.changes import Change, changes
from shiftright.ship.diff.clusters import clusters, words_of
from shiftright.ship.diff.findings import Behaviour, Cluster, Example, Kind
from shiftright.ship.diff.measures import Both
from shiftright.ship.diff.replayed import Replayed
from shiftright.stats import e_bh
from shiftright.tracing.exchange import text_of

EXAMPLES = 3
MOST_LABELS = 12
"""Groups of labels of one field; the rest are one group."""
_FIRST: tuple[Kind, ...] = ("failure", "refusal", "check")


def behaviours(
    replayed: Sequence[Replayed], both: Sequence[Both], spec: Spec
) -> tuple[tuple[Behaviour, ...], int]:
    """The groups, those that stand out first, and how many inputs are in none. An input may be in several."""
    keys = _gathered([changes(one, old, new, spec) for one, (old, new) in zip(replayed, both, strict=True)])
    members: dict[Change, list[int]] = defaultdict(list)
    for place, found in enumerate(keys):
        for key in dict.fromkeys(found):
            members[key].append(place)
    words = [words_of(text_of(one.case.value)) | {f"#{tag}" for tag in one.case.tags} for one in replayed]
    units = [one.unit for one in replayed]
    groups = [
        _behaviour(key, places, members, replayed, both, words, units) for key, places in members.items()
    ]
    marked = e_bh([group.evidence for group in groups], FALSE_DISCOVERIES).tolist() if groups else []
    groups = [msgspec.structs.replace(group, marked=m) for group, m in zip(groups, marked, strict=True)]
    unchanged = sum(not found for found in keys)
    return tuple(sorted(groups, key=_place)), unchanged


def _place(group: Behaviour) -> tuple[bool, int, bool, int, str]:
    first = _FIRST.index(group.kind) if group.kind in _FIRST else len(_FIRST)
    return (not group.marked, first, group.kind == "check" and group.before != "passed", -group.n, group.name)


def _gathered(keys: Sequence[list[Change]]) -> list[list[Change]]:
    """Labels that are too many to be read one by one are one group: "another label"."""
    counts: dict[Change, int] = defaultdict(int)
    for found in keys:
        for key in found:
            counts[key] += key.kind == "label"
    kept: set[Change] = set()
    for field in {key.field for key, n in counts.items() if n}:
        mine = sorted(
            (key for key, n in counts.items() if n and key.field == field), key=lambda k: (-counts[k], k)
        )
        kept.update(
            mine if len(mine) <= MOST_LABELS else [k for k in mine[: MOST_LABELS - 1] if counts[k] > 1]
        )
    return [
        [
            key if key.kind != "label" or key in kept else Change("label", "one label", "another", key.field)
            for key in found
        ]
        for found in keys
    ]


def _behaviour(
    key: Change,
    places: Sequence[int],
    members: Mapping[Change, Sequence[int]],
    replayed: Sequence[Replayed],
    both: Sequence[Both],
    words: Sequence[frozenset[str]],
    units: Sequence[str],
) -> Behaviour:
    back = members.get(key.back, ()) if key.back != key else ()
    turned = [0.0] * len(replayed)
    for place in places:
        turned[place] -= 1.0
    for place in back:
        turned[place] += 1.0
    found = clusters({replayed[place].case.id: words[place] for place in places}, words)
    return Behaviour(
        name=key.name,
        kind=key.kind,
        before=key.before,
        after=key.after,
        n=len(places),
        share=len(places) / len(replayed),
        back=len(back),
        evidence=UnitMeans.of(turned, units).evidence_of_loss(),
        marked=False,
        clusters=found,
        examples=tuple(_example(replayed[place]) for place in _telling(key, places, found, replayed, both)),
        cases=tuple(replayed[place].case.id for place in places),
        check=key.field if key.kind == "check" else None,
    )


def _telling(
    key: Change,
    places: Sequence[int],
    found: Sequence[Cluster],
    replayed: Sequence[Replayed],
    both: Sequence[Both],
) -> list[int]:
    """One of each cluster first, so that examples differ; the clearest change, else the quickest to read."""

    def effort(place: int) -> tuple[float, int]:
        old, new = (len(side.text) for side in both[place])
        clearness = min(old, new) / max(old, new, 1) if key.kind == "length" else 0.0
        return (round(clearness, 1), len(text_of(replayed[place].case.value)) + old + new)

    ranked = sorted(places, key=effort)
    by_id = {replayed[place].case.id: place for place in ranked}
    firsts = [min((by_id[id_] for id_ in cluster.cases), key=effort) for cluster in found]
    return list(dict.fromkeys([*firsts, *ranked]))[:EXAMPLES]


def _example(one: Replayed) -> Example:
    old, new = one.old.failure, one.new.failure
    return Example(
        case_id=one.case.id,
        input=one.case.value,
        old_output=one.old.output,
        new_output=one.new.output,
        old_failure=f"{old.kind}: {old.message}" if old else None,
        new_failure=f"{new.kind}: {new.message}" if new else None,
        expected=one.case.expected,
        tags=one.case.tags,
    )
