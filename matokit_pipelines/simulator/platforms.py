"""Operating systems and architectures of the simulated machines, with the texts senders made of them.

Belongs here: the tables of what is sent and what it means. Does not belong here: reading such texts; the meaning
is known because the text was made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OsText:
    """A sent operating system text (None = not sent) and its meaning.

    version: as sent, so a Windows build is one. release: what a person calls it; the family where no version was sent.
    """

    sent: str | None
    family: str
    version: str | None
    release: str
    weight: float


@dataclass(frozen=True)
class Spelling:
    """A sent architecture text (None = not sent) and its meaning."""

    sent: str | None
    architecture: str
    weight: float


def _mac(version: str, name: str, weight: float) -> tuple[OsText, ...]:
    release = "macOS " + ".".join(version.split(".")[:2])
    forms = ((f"Darwin{version}", 0.60), (f"macOS{version} ({name})", 0.25), (f"macOS {version}", 0.10))
    last = ((f"macOS {version} (macOS)", 0.05),)
    return tuple(OsText(text, "macOS", version, release, weight * share) for text, share in forms + last)


NEW_OS_RELEASE = "macOS 26.1"
_NEW_OS = _mac("26.1", "Tahoe", 0.0)
_WINDOWS = (
    OsText("Windows Microsoft Windows 11 Pro", "Windows", "11", "Windows 11", 0.06),
    OsText("Windows 10.0.22631 (Microsoft Windows 11 Pro)", "Windows", "10.0.22631", "Windows 11", 0.08),
    OsText("Windows 10.0.26100 (Microsoft Windows 11 Famille)", "Windows", "10.0.26100", "Windows 11", 0.01),
)
_LINUX = (
    OsText("Linux Ubuntu 22.04 (jammy)", "Linux", "22.04", "Ubuntu 22.04", 0.09),
    OsText("Linux", "Linux", None, "Linux", 0.006),
    OsText("Linux (Unknown Distribution)", "Linux", None, "Linux", 0.004),
)
_ODD = (
    OsText("Darwin", "macOS", None, "macOS", 0.004),
    OsText("macOS (Unknown Version)", "macOS", None, "macOS", 0.002),
    OsText("macOS10.16", "macOS", "11+", "macOS 11+", 0.002),
    OsText("FreeBSD (Unknown Version)", "unknown", None, "FreeBSD", 0.001),
    OsText("", "unknown", None, "unknown", 0.001),
    OsText(None, "unknown", None, "unknown", 0.001),
)
OS_TEXTS: tuple[OsText, ...] = (
    *_mac("15.1.1", "Sequoia", 0.439),
    *_mac("14.2.1", "Sonoma", 0.25),
    *_mac("13.6.1", "Ventura", 0.05),
    *_WINDOWS,
    *_LINUX,
    *_ODD,
    *_NEW_OS,
)
SPELLINGS = (
    Spelling("arm64", "arm64", 0.90),
    Spelling("aarch64", "arm64", 0.10),
    Spelling("x86_64", "x86_64", 0.70),
    Spelling("amd64", "x86_64", 0.14),
    Spelling("x64", "x86_64", 0.10),
    Spelling("AMD64", "x86_64", 0.05),
    Spelling(" x86_64", "x86_64", 0.01),
    Spelling("i686", "x86", 0.0),
    Spelling("riscv64", "unknown", 0.0),
    Spelling(None, "unknown", 0.0),
)
NEW_OS_TEXTS = np.array([i for i, text in enumerate(OS_TEXTS) if text.release == NEW_OS_RELEASE])
IS_MAC = np.array([text.family == "macOS" and text.release != NEW_OS_RELEASE for text in OS_TEXTS])
IS_X86 = np.array([spelling.architecture == "x86_64" for spelling in SPELLINGS])
# Together with the shares of the systems this makes 28 % of all machines x86_64.
_X86_SHARE = {"Windows": 0.90, "Linux": 0.85, "macOS": 0.08, "unknown": 0.28}


def draw(count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """`count` machines: rows of OS_TEXTS and rows of SPELLINGS, int64 each."""
    weights = np.array([text.weight for text in OS_TEXTS])
    text = rng.choice(len(OS_TEXTS), size=count, p=weights / weights.sum()).astype(np.int64)
    x86 = rng.random(count) < np.array([_X86_SHARE[row.family] for row in OS_TEXTS])[text]
    spelling = np.where(x86, _spell(count, "x86_64", rng), _spell(count, "arm64", rng))
    odd = rng.random(count) < 0.006
    spelling[odd] = rng.integers(len(SPELLINGS) - 3, len(SPELLINGS), int(odd.sum()))
    return text, spelling


def _spell(count: int, architecture: str, rng: np.random.Generator) -> Ints:
    rows = [i for i, row in enumerate(SPELLINGS) if row.architecture == architecture]
    weights = np.array([SPELLINGS[i].weight for i in rows])
    return np.array(rows)[rng.choice(len(rows), size=count, p=weights / weights.sum())].astype(np.int64)
