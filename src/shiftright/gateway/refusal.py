"""A request that gets no answer, said in the caller's dialect."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shiftright.errors import Error

Dialect = Literal["openai", "anthropic"]
Headers = list[tuple[str, str]]

_OPENAI = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC = _OPENAI | {413: "request_too_large", 503: "overloaded_error", 504: "timeout_error"}


class Refusal(Error):
    """Why, as an HTTP status and a code.

    ``retry_after_s`` tells the caller when to ask again; ``final`` that asking again is of no use.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        retry_after_s: float | None = None,
        final: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.final = final

    def headers(self) -> Headers:
        headers = [("content-type", "application/json")]
        if self.retry_after_s is not None:
            headers.append(("retry-after", str(max(1, round(self.retry_after_s)))))
        if self.final:
            # the official clients would send a 429 twice more
            headers.append(("x-should-retry", "false"))
        return headers

    def body(self, dialect: Dialect, trace_id: str) -> bytes:
        """The error as OpenAI's or Anthropic's clients read it."""
        message = self.message if self.hint is None else f"{self.message}. {self.hint}"
        error: dict[str, Any] = {"type": self._type(dialect), "message": message}
        if dialect == "anthropic":
            return msgspec.json.encode({"type": "error", "error": error, "request_id": trace_id})
        return msgspec.json.encode({"error": error | {"param": None, "code": self.code}})

    def event(self, dialect: Dialect, trace_id: str) -> bytes:
        """The error inside a stream that has begun."""
        name = b"event: error\n" if dialect == "anthropic" else b""
        return name + b"data: " + self.body(dialect, trace_id) + b"\n\n"

    def _type(self, dialect: Dialect) -> str:
        known = _ANTHROPIC if dialect == "anthropic" else _OPENAI
        return known.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")


def unknown_model(name: str, hint: str) -> Refusal:
    return Refusal(404, "model_not_found", f"there is no model or feature {name[:200]!r}", hint=hint)


def malformed(message: str) -> Refusal:
    return Refusal(400, "invalid_request", message)
