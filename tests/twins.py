"""Which values a report's page shows and its text does not, by their paths. Not here: whether a value is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines.reports.marking import Marker


def only_on_the_page(patch: pytest.MonkeyPatch, pages: ModuleType, render: Callable[[], object]) -> set[str]:
    """Paths that `render`, which makes the page and then its text with the markers of `pages`, shows on the page
    alone."""
    made: list[_Recording] = []

    class Recording(_Recording):
        def __init__(self, document: Mapping[str, Any], zone: ZoneInfo, *, html: bool) -> None:
            super().__init__(document, zone, html=html)
            made.append(self)

    patch.setattr(pages, "Marker", Recording)
    render()
    page = set().union(*(one.paths for one in made if one.is_html))
    text = [one.paths for one in made if not one.is_html][-1]
    assert page
    assert text
    return page - text


class _Recording(Marker):
    """Keeps the paths of what it showed."""

    def __init__(self, document: Mapping[str, Any], zone: ZoneInfo, *, html: bool) -> None:
        super().__init__(document, zone, html=html)
        self.paths: set[str] = set()
        self.is_html = html

    def show(self, path: str, form: str) -> str:
        self.paths.add(path)
        return super().show(path, form)
