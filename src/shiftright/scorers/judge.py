"""``judge``: a model decides by a rubric whether an output is good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import ModelError, ScorerError
from shiftright.models.scope import CallScope, current, use
from shiftright.scorers import fields, labels
from shiftright.scorers.labels import Label, LabelsSummary
from shiftright.scorers.rubric import Rubric, answer_type, question
from shiftright.scorers.rubric import load as load_rubric

if TYPE_CHECKING:
    from pydantic_ai.models import Model


class Judge:
    """Asks a model for a reason and a verdict, and keeps the reason as the score's explanation.

    Pass is 1 and fail 0; a rating is scaled to [0, 1]. With ``pairwise`` the baseline's output is the opponent: both
    orders are asked, a win in both is 1, a loss in both 0, and disagreement a tie (0.5), which takes the judge's
    liking for a position out (Zheng et al. 2023, section 3.4). What judging costs is in ``Score.cost_usd``.

    Params: ``rubric`` (a Markdown file; front matter: ``model``, ``scale: pass/fail`` or ``1-5``, ``pairwise``, model
    settings), ``model``, ``pairwise``, ``labels`` (people's labels, see ``labels.load``), ``field``.
    """

    def __init__(self, check: Check, root: Path) -> None:
        self.name = check.name
        self._root = root
        self._path = fields.path_of(check.params.get("field"))
        self.rubric: Rubric = load_rubric(root / check.params["rubric"], check.params)
        given = check.params.get("labels")
        self.labels: tuple[Label, ...] = () if given is None else labels.load(root / given, self.rubric)
        self._model: Model | None = None

    async def score(self, ctx: ScoreContext) -> Score:
        outer = current()
        scope = CallScope(
            ctx.case.id,
            0 if outer is None else outer.repeat,
            None if outer is None else outer.cache,
            None if outer is None else outer.budget,
            None if outer is None else outer.timeout_s,
        )
        with use(scope):
            try:
                value, label, reason = await (
                    self._compared(ctx) if self.rubric.pairwise else self._judged(ctx)
                )
            except ModelError as cause:
                failure = (
                    f"the judge gave no usable answer on case {ctx.case.id}: {cause.code}: {cause.message}"
                )
                return Score(self.name, failure=failure, cost_usd=scope.meter.spent_usd)
        return Score(self.name, value, label, reason, cost_usd=scope.meter.spent_usd)

    async def labels_summary(
        self, cases: Iterable[Case] = (), scores: Mapping[str, Score] | None = None
    ) -> LabelsSummary:
        """How many labels by people stand behind this judge, and how far it agrees with them.

        A label with an ``output`` has that output judged (and cached like any call); one without is compared with
        the case's score.

        Args:
            cases: for labels that name a ``case_id``; their inputs and expectations are what the judge is shown.
            scores: of this judge, by case id.
        """
        known = {case.id: case for case in cases}
        pairs: list[tuple[float, float]] = []
        cost: float | None = 0.0
        for label in self.labels:
            score = (scores or {}).get(label.case_id or "")
            if label.output is not None:
                score = await self._of_label(label, known)
                cost = (
                    None if cost is None or score is None or score.cost_usd is None else cost + score.cost_usd
                )
            if score is not None and score.value is not None:
                pairs.append((score.value, label.value))
        return labels.summarise(len(self.labels), pairs, cost)

    async def _judged(self, ctx: ScoreContext) -> tuple[float, str, str]:
        found = await self._ask(ctx, {"OUTPUT": self._part(ctx.answer, ctx)})
        if self.rubric.scale is None:
            return (1.0 if found.verdict == "pass" else 0.0), found.verdict, found.reason
        low, high = self.rubric.scale
        return (found.score - low) / (high - low), str(found.score), found.reason

    async def _compared(self, ctx: ScoreContext) -> tuple[float, str, str]:
        if ctx.other is None:
            raise ScorerError(f"case {ctx.case.id}: there is no output of the other side to compare with")
        if ctx.other.failure is not None:
            return 1.0, "win", f"the other side failed: {ctx.other.failure.kind}"
        mine, theirs = self._part(ctx.answer, ctx), self._part(ctx.other, ctx)
        if mine == theirs:
            return 0.5, "tie", "the outputs are the same"
        first, second = await asyncio.gather(
            self._ask(ctx, {"OUTPUT A": mine, "OUTPUT B": theirs}),
            self._ask(ctx, {"OUTPUT A": theirs, "OUTPUT B": mine}),
        )
        reason = f"As A: {first.reason}\nAs B: {second.reason}"
        if (first.winner, second.winner) == ("A", "B"):
            return 1.0, "win", reason
        if (first.winner, second.winner) == ("B", "A"):
            return 0.0, "loss", reason
        return 0.5, "tie", reason

    async def _ask(self, ctx: ScoreContext, outputs: dict[str, Any]) -> Any:
        from shiftright import models

        if self._model is None:
            self._model = models.resolve(self.rubric.model, settings=self.rubric.settings, root=self._root)
        asked = await models.ask(
            self._model, question(self.rubric, ctx, outputs), output=answer_type(self.rubric)
        )
        return asked.output

    async def _of_label(self, label: Label, known: Mapping[str, Case]) -> Score | None:
        """The judge's score of a labelled output; None where the input is not known."""
        case = known.get(label.case_id) if label.case_id else Case(label.digest, input=label.input)
        if case is None:
            return None
        other = None if label.other is None else Answer(label.other)
        return await self.score(ScoreContext(case, Answer(label.output), other=other))

    def _part(self, answer: Answer, ctx: ScoreContext) -> Any:
        found = fields.pick(answer.output, self._path)
        if found is fields.MISSING:
            raise ScorerError(f"case {ctx.case.id}: the output has no field {'.'.join(self._path)!r}")
        return found
