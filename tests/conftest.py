from __future__ import annotations

from hypothesis import settings

# An example that took long says that the machine was busy, and nothing of the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
