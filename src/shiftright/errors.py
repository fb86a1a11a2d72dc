"""One tree of errors. Each class is as wide as an ``except`` someone would write.

    Error                      everything shiftright raises on purpose
    ├── UsageError             a command line or an argument that makes no sense
    ├── SpecError              the contract cannot be read or cannot hold
    ├── DatasetError           cases or a result file that cannot be read
    │   └── DatasetChanged     the cases changed while a decision was using them
    ├── PromptError            a template that cannot be read or rendered
    ├── FeatureError           the feature's own code failed on one input
    ├── ModelError             one model call gave no usable answer
    │   ├── ModelTimeout       no (complete) answer in time
    │   ├── ModelRefused       the model or its provider declined to answer
    │   ├── AnswerMalformed    the answer does not have the asked shape, after retries
    │   └── ProviderError      the provider failed: 429, 5xx, connection reset
    ├── ScorerError            the measurement failed, not the thing measured
    ├── NotifierError          a message to people may not have arrived
    ├── BaselineStale          the baseline does not answer any more as it is remembered to
    ├── CredentialsError       a key is missing or refused: no call can succeed
    ├── CapReached             the user's own limit on calls or money
    ├── StoreError             records or traces cannot be read or written
    │   └── StoreInUse         another process owns them
    └── MissingDependency      an optional package or model file is not installed

``FeatureError``, ``ModelError`` and ``ScorerError`` are data: the run records them and goes on.
The others stop a run, which can be resumed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Error(Exception):
    """What went wrong, where, and the way out.

    Args:
        message: one or two sentences for a person.
        file, line: where the cause is, if it is in a file (line counts from 1).
        hint: what to do about it; a command where there is one.
    """

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.hint = hint

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return f"{where}{self.message}" + (f"\n  {self.hint}" if self.hint else "")

    def as_dict(self) -> dict[str, Any]:
        """``{code, message, file, line, hint}``, the body of the CLI's and the API's ``error``."""
        return {
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "hint": self.hint,
        }


class UsageError(Error):
    code = "usage"


class SpecError(Error):
    code = "spec"


class DatasetError(Error):
    code = "dataset"


class DatasetChanged(DatasetError):
    code = "dataset_changed"


class PromptError(Error):
    code = "prompt"


class FeatureError(Error):
    code = "feature"


class ModelError(Error):
    code = "model"


class ModelTimeout(ModelError):
    code = "timeout"


class ModelRefused(ModelError):
    code = "refused"


class AnswerMalformed(ModelError):
    code = "malformed"


class ProviderError(ModelError):
    """A failure on the provider's side. ``retry_after`` is in seconds where the provider named it."""

    code = "provider"

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, **where: Any
    ) -> None:
        super().__init__(message, **where)
        self.status = status
        self.retry_after = retry_after


class ScorerError(Error):
    code = "scorer"


class NotifierError(Error):
    code = "notifier"


class BaselineStale(Error):
    code = "baseline_stale"


class CredentialsError(Error):
    code = "credentials"


class CapReached(Error):
    code = "cap"


class StoreError(Error):
    code = "store"


class StoreInUse(StoreError):
    code = "store_in_use"


class MissingDependency(Error):
    code = "missing"
