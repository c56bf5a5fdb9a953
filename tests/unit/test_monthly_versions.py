"""Which major version a release belongs to, and the shipped table of vendor support."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.reports.monthly import vendor
from matokit_pipelines.reports.monthly.vendor import Support, table_date, vendor_support
from matokit_pipelines.reports.monthly.versions import is_version, major_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "vendor-support.md"


@pytest.mark.parametrize(
    ("family", "release", "major"),
    [
        ("macOS", "macOS 14.2", "macOS 14"),
        ("macOS", "macOS 26", "macOS 26"),
        ("macOS", "macOS 10.15", "macOS 10.15"),
        ("macOS", "macOS 11+", "macOS 11+"),
        ("macOS", "macOS", "macOS"),
        ("Windows", "Windows 11", "Windows 11"),
        ("Windows", "Windows 8.1", "Windows 8.1"),
        ("Windows", "Windows Server 2012 R2", "Windows Server 2012 R2"),
        ("Linux", "Ubuntu 22.04", "Ubuntu 22.04"),
        ("Linux", "Debian GNU/Linux 12.5", "Debian 12"),
        ("Linux", "Debian 12", "Debian 12"),
        ("Linux", "Fedora Linux 41", "Fedora 41"),
        ("Linux", "Rocky Linux 9.3", "Rocky Linux 9"),
        ("Linux", "Alpine Linux 3.19", "Alpine Linux 3.19"),
        ("Linux", "Linux", "Linux"),
        ("unknown", "macOS 14.2", "macOS 14.2"),
        ("unknown", "FreeBSD", "FreeBSD"),
    ],
)
def test_a_release_has_its_major(family: str, release: str, major: str) -> None:
    assert major_of(family, release) == major


@given(family=st.sampled_from(["macOS", "Windows", "Linux", "unknown"]), release=st.text(max_size=60))
def test_any_text_has_a_major_which_is_its_own_major(family: str, release: str) -> None:
    major = major_of(family, release)
    assert major_of(family, major) == major


@given(major=st.integers(11, 99), minor=st.integers(0, 99))
def test_all_updates_of_macos_are_one_major(major: int, minor: int) -> None:
    assert major_of("macOS", f"macOS {major}.{minor}") == f"macOS {major}"


def test_words_without_a_number_are_no_version() -> None:
    named = [("macOS", "macOS"), ("macOS", "macOS 11+"), ("Linux", "Linux"), ("unknown", "FreeBSD 14"), ("Windows", "")]
    assert not any(is_version(*one) for one in named)
    assert all(is_version(*one) for one in vendor_support())


def test_each_line_of_the_table_names_a_version_as_events_do_and_how_it_is_known() -> None:
    today = table_date()
    for (family, major), support in vendor_support().items():
        assert major_of(family, major) == major
        assert support.source
        assert support.as_of >= date(2026, 1, 1)
        assert support.ended_on is None or date(2009, 1, 1) < support.ended_on < today + timedelta(days=3660)
        assert (support.basis == "practice") == (family == "macOS")  # no other vendor here publishes no dates
        if support.basis == "practice":
            assert bool(support.note) == (support.ended_on is not None), major


def test_the_table_has_each_version_once_and_in_order() -> None:
    with vendor.FILE.open(encoding="utf-8", newline="") as file:
        rows = [(row["os_family"], row["major"]) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == len(vendor_support())
    assert [family for family, _ in rows] == sorted(
        (family for family, _ in rows), key=["macOS", "Windows", "Linux"].index
    )


def test_a_mac_loses_support_by_practice_when_the_third_later_one_comes_out() -> None:
    """The note of each names the version that came out; it is the third after it."""
    macs = [major for family, major in vendor_support() if family == "macOS"]
    for place, major in enumerate(macs):
        support = vendor_support()["macOS", major]
        if support.ended_on is not None:
            assert support.note == f"{macs[place + 3]} came out"
        else:
            assert place + 3 >= len(macs)


def test_every_source_of_the_table_is_described() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for support in vendor_support().values():
        assert support.source.split(":")[0] in text, support.source
    assert f"{table_date()}" in text


def test_support_has_ended_at_the_end_of_its_last_day() -> None:
    support = Support(date(2026, 10, 31), "vendor", "page", date(2026, 3, 31), "")
    assert not support.has_ended(date(2026, 10, 30))
    assert support.has_ended(date(2026, 10, 31))
    assert not Support(None, "vendor", "page", date(2026, 3, 31), "").has_ended(date(2999, 1, 1))


def test_a_line_that_cannot_be_read_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "vendor_support.csv"
    broken.write_text("os_family,major,ended_on,basis,source,as_of,note\nmacOS,macOS 9,,rumour,page,2026-03-31,\n")
    monkeypatch.setattr(vendor, "FILE", broken)
    vendor_support.cache_clear()
    try:
        with pytest.raises(ValueError, match="macOS 9: basis is vendor or practice"):
            vendor_support()
    finally:
        monkeypatch.undo()
        vendor_support.cache_clear()
