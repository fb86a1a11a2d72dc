"""Every property is tried on the same examples each time, and without a clock: the machine may be busy."""

from hypothesis import settings

settings.register_profile("stats", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("stats")
