"""Which major version a release belongs to: what vendors support, and what trends and recommendations are about.

Text in, text out. Not here: how a sent text becomes a release (staging.event_readings).
"""

from __future__ import annotations

import re

MACOS, WINDOWS, LINUX = "macOS", "Windows", "Linux"
# What follows these names after a dot is an update of the same version; elsewhere (Ubuntu 22.04, Alpine 3.19) the dot
# is part of it.
_UPDATED_IN_PLACE = (
    "Debian", "Debian GNU/Linux", "Fedora", "Fedora Linux", "Raspbian GNU/Linux", "Rocky Linux", "AlmaLinux",
    "Linux Mint", "CentOS Linux", "CentOS Stream", "Red Hat Enterprise Linux", "Oracle Linux Server",
)  # fmt: skip
_MACOS = re.compile(r"^macOS (10\.\d+|\d+)(?:\.\d+)?$")
_NUMBERED = re.compile(r"^(.+) (\d+)(?:\.\d+)?$")
_OTHER_NAMES = {"Debian GNU/Linux": "Debian", "Fedora Linux": "Fedora"}


def major_of(os_family: str, os_release: str) -> str:
    """`macOS 14` of `macOS 14.2`, `Debian 12` of `Debian GNU/Linux 12.5`; a release without more is its own major."""
    if os_family == MACOS and (match := _MACOS.match(os_release)):
        return f"macOS {match[1]}"
    if os_family == LINUX and (match := _NUMBERED.match(os_release)) and match[1] in _UPDATED_IN_PLACE:
        return f"{_OTHER_NAMES.get(match[1], match[1])} {match[2]}"
    return os_release


def is_version(os_family: str, major: str) -> bool:
    """Whether it names a version of a known system: not `macOS`, `macOS 11+`, `Linux` or words nobody knows."""
    return os_family in (MACOS, WINDOWS, LINUX) and re.search(r" \d+(\.\d+)*( R2)?$", major) is not None
