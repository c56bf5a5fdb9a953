"""All pages of a home put into another folder, for a web server or a bucket that is filled from it.

What leaves: the index, reports (page, text, JSON) and dashboards. What stays: messages, the data and all settings.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from matokit_pipelines.errors import SettingsError, StateError

_REPORTS = (".html", ".txt", ".json")
_DASHBOARDS = (".html", ".json", ".csv")


def copy_site(home: Path, out: Path) -> tuple[Path, ...]:
    """Copy every page of `home` to `out`; gives the files there that are new or changed, in order.

    Files that are the same already are left alone, so a bucket is sent only what changed; each is replaced whole.
    SettingsError when `out` lies in the home or holds it, StateError when it cannot be written to.
    """
    source, target = home.resolve(), out.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise SettingsError(f"{out} lies in the home {home} or around it; name a folder beside it.")
    try:
        return tuple(_copied(source, target))
    except OSError as error:
        raise StateError(
            f"The pages cannot be copied to {out} ({error.strerror or error}); make room there."
        ) from error


def pages(home: Path) -> Iterator[Path]:
    """The files of a home that are pages or belong to one, relative to it, in order; the index last."""
    for folder, endings in (("dashboards", _DASHBOARDS), ("reports", _REPORTS)):
        for file in sorted((home / folder).rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(home).parts)
            if file.is_file() and file.suffix in endings and not hidden and not file.name.endswith(".message.json"):
                yield file.relative_to(home)
    yield from (Path(name) for name in ("index.json", "index.html") if (home / name).is_file())


def _copied(home: Path, out: Path) -> Iterator[Path]:
    for page in pages(home):
        if not _is_same(home / page, out / page):
            _copy_whole(home / page, out / page)
            yield out / page


def _is_same(old: Path, new: Path) -> bool:
    """By size and time of change, which a copy keeps."""
    if not new.is_file():
        return False
    one, other = old.stat(), new.stat()
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _copy_whole(old: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=new.parent, prefix=f".{new.name}-")
    os.close(descriptor)
    fresh = Path(name)
    try:
        shutil.copyfile(old, fresh)
        fresh.chmod(0o644)
        shutil.copystat(old, fresh)
        fresh.replace(new)
    finally:
        fresh.unlink(missing_ok=True)
