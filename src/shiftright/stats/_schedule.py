"""When bets are refreshed: often at first, then seldom; a function of n alone, so replay is exact."""


def next_refresh(n: int) -> int:
    """Every 10 increments up to 50, then every 50, then every tenth of the past."""
    return n + (10 if n < 50 else max(50, n // 10))


def next_block(n: int) -> int:
    """The same for streams that may last for ever: never more than 200 units apart, which is all a stored test must
    feed again, and soon enough to follow the day.
    """
    return n + min(next_refresh(n) - n, 200)
