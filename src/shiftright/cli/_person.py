"""Who is at the keyboard."""

from __future__ import annotations

from shiftright.errors import UsageError


def user(option: str) -> str:
    """The name of the system's user.

    Raises:
        UsageError: when it has none; ``option`` is the way to give one.
    """
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise UsageError("your user has no name", hint=f"Give one: {option} NAME") from None
