"""Ship AI features on evidence: one contract per feature, decided with stated error rates.

Every name is imported when it is first used, so ``import shiftright`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from shiftright.app import evaluate as evaluate
    from shiftright.core.answer import Answer as Answer
    from shiftright.core.case import Case as Case
    from shiftright.core.score import Score as Score
    from shiftright.core.score import ScoreContext as ScoreContext
    from shiftright.core.seams import Scorer as Scorer
    from shiftright.core.spec import Spec as Spec
    from shiftright.core.verdict import CheckRow as CheckRow
    from shiftright.core.verdict import Verdict as Verdict
    from shiftright.datasets.dataset import Dataset as Dataset
    from shiftright.datasets.dataset import load as load_cases  # noqa: F401
    from shiftright.errors import Error as Error
    from shiftright.evals.compare import AaReport as AaReport
    from shiftright.evals.compare import Comparison as Comparison
    from shiftright.evals.compare import compare as compare
    from shiftright.evals.compare.aa import aa as aa
    from shiftright.evals.options import EvalRun as EvalRun
    from shiftright.features.context import Context as Context
    from shiftright.features.outside import variant as variant
    from shiftright.features.signature import feature as feature
    from shiftright.spec.loading import load as load_spec  # noqa: F401
    from shiftright.stats.boundary import BoundaryTest as BoundaryTest

_EXPORTS = {
    "AaReport": "evals.compare",
    "Answer": "core.answer",
    "BoundaryTest": "stats.boundary",
    "Case": "core.case",
    "CheckRow": "core.verdict",
    "Comparison": "evals.compare",
    "Context": "features.context",
    "Dataset": "datasets.dataset",
    "Error": "errors",
    "EvalRun": "evals.options",
    "Score": "core.score",
    "ScoreContext": "core.score",
    "Scorer": "core.seams",
    "Spec": "core.spec",
    "Verdict": "core.verdict",
    "aa": "evals.compare",
    "compare": "evals.compare",
    "evaluate": "app",
    "feature": "features.signature",
    "load_cases": "datasets.dataset:load",
    "load_spec": "spec.loading:load",
    "variant": "features.outside",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _EXPORTS[name].partition(":")
    found = getattr(import_module(f"{__name__}.{module}"), attribute or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
