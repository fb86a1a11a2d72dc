"""What a failed model call means: pydantic-ai's and the transport's errors as ours, and whether to try again."""

from __future__ import annotations

from typing import Any

from pydantic_ai import exceptions as theirs

from shiftright.errors import (
    CredentialsError,
    Error,
    ModelError,
    ModelRefused,
    ModelTimeout,
    ProviderError,
    UsageError,
)

# 408, 409, 425 and 429 are about the moment, not about the request.
_OF_THE_MOMENT = frozenset({408, 409, 425, 429})
# What is caught around a model call; anything else is a defect and passes through.
CAUGHT = (theirs.AgentRunError, theirs.UserError, OSError, TimeoutError)


def translate(error: BaseException, model: str) -> tuple[Error, bool]:
    """Our error for one of ``CAUGHT``, and whether the same request may succeed if it is sent again."""
    if isinstance(error, Error):
        return error, False
    if isinstance(error, (TimeoutError, theirs.ModelTimeoutError, theirs.ModelRequestTimeout)):
        return ModelTimeout(f"{model} gave no complete answer in time: {_short(error)}"), True
    if isinstance(error, theirs.ContentFilterError):
        return ModelRefused(f"{model} refused: {_short(error)}"), False
    if isinstance(error, theirs.UserError):
        return UsageError(f"{model} cannot be called like this: {_short(error)}"), False
    if isinstance(error, theirs.ModelAPIError):
        return _of_provider(error, model)
    if isinstance(error, theirs.UnexpectedModelBehavior):
        return ProviderError(f"{model} sent an answer that cannot be read: {_short(error)}"), True
    if isinstance(error, OSError):
        return ProviderError(f"the connection to {model} broke: {_short(error)}"), True
    return ModelError(f"{model} failed: {_short(error)}"), False


def _of_provider(error: theirs.ModelAPIError, model: str) -> tuple[Error, bool]:
    status: int | None = getattr(error, "status_code", None)
    if isinstance(error, theirs.ModelAuthenticationError) or status in (401, 403):
        return CredentialsError(
            f"{model} refused the key (status {status}): {_said(error)}",
            hint="Check the key in the environment (`api_key_env:` names another variable) and what it may use.",
        ), False
    if isinstance(error, theirs.ModelContextWindowExceededError):
        return ModelError(f"the request is longer than {model} can read: {_said(error)}"), False
    message = f"{model} failed" + (f" with status {status}" if status else "") + f": {_said(error)}"
    known: str | None = getattr(error, "suggested_model_id", None)
    ours = ProviderError(
        message,
        status=status,
        retry_after=error.retry_after,
        hint=f"Did you mean {known!r}?" if known else None,
    )
    # Exhausted credit also comes as 429, and waiting does not fill the account.
    if isinstance(error, theirs.ModelQuotaExceededError):
        return ours, False
    return ours, status is None or status in _OF_THE_MOMENT or status >= 500


def _said(error: theirs.ModelAPIError) -> str:
    """The provider's own sentence where there is one."""
    body: Any = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        found = inner.get("message") if isinstance(inner, dict) else inner
        if isinstance(found, str):
            return found[:500]
    return _short(error)


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:500]
