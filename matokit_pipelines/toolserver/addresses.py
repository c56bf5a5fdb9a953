"""The address that a server listens on, as it is asked for and as it is printed.

Not here: which names are taken (gate.py), listening (listening.py).
"""

from __future__ import annotations

from ipaddress import ip_address


def reached(host: str) -> str:
    """The name under which programs of this machine reach what listens on `host`."""
    try:
        address = ip_address(host or "0.0.0.0")  # noqa: S104 - what a person gave, not what we bind
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return address.compressed


def in_address(host: str) -> str:
    """A host as it stands in a web address: `[::1]`."""
    return f"[{host}]" if ":" in host else host
