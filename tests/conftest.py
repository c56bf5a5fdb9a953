"""What holds for all tests: examples of properties may take as long as the machine needs."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("matokit", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("matokit")
