"""When bets are refreshed: often at first, then seldom; a function of n alone, so replay is exact."""


def next_refresh(n: int) -> int:
    """Every 10 increments up to 50, then every 50, then every tenth of the past."""
    return n + (10 if n < 50 else max(50, n // 10))
