"""The sites that tools are asked about: every form of the list, its faults, the default, and finding one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.site_registry import Registry, read_registry
from matokit_pipelines.toolserver.sites import Site, Sites

LIVE = {"MATOMO_BASE_URL": "https://matomo.example.org", "MATOMO_TOKEN": "secret-of-the-main-one"}
TWO = """
[[sources]]
name = "installers"
kind = "matomo"
url = "https://matomo.example.org"
site_id = "1"

[[sources]]
name = "shop"
kind = "matomo"
url = "https://matomo.example.org"
site_id = "2"
provides = ["web_reports"]

[[sources]]
name = "elsewhere"
kind = "matomo"
url = "https://other.example.org/stats"
site_id = "1"
provides = ["web_reports"]
"""
NUMBERED = {
    "MATOKIT_SITE_0_ID": "5",
    "MATOKIT_SITE_0_NAME": "Marketing",
    "MATOKIT_SITE_1_ID": "7",
    "MATOKIT_SITE_1_NAME": "Docs: all of them",
}


def sites_of(folder: Path, environ: dict[str, str], settings: str = "") -> Sites:
    (folder / "matokit.toml").write_text(settings, encoding="utf-8")
    return Sites.of(load(folder / "matokit.toml", environ, folder))


def index(**more: Any) -> dict[str, str]:
    return LIVE | {"MATOKIT_SITE_INDEX_JSON": json.dumps(more)}


def read_or_said(environ: dict[str, str]) -> tuple[Registry, str]:
    """The list, or an empty one and why it is refused."""
    try:
        return read_registry(environ), ""
    except SettingsError as error:
        return Registry(), str(error)


def names(sites: Sites) -> list[tuple[str, str]]:
    return [(site.id, site.name) for site in sites.all]


def test_one_matomo_without_a_list_gives_any_number(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, LIVE)
    assert names(sites) == [("1", "matomo")]
    assert sites.default is sites.find(None) is sites.find("") is sites.find(1) is sites.find("matomo")
    other = sites.find("0042")
    assert (other.id, other.name, other.source) == ("42", "site 42", None)
    assert other.connection.token() == "secret-of-the-main-one"
    assert other.tracking_url == "https://matomo.example.org/matomo.php"


def test_default_site_by_variable(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, LIVE | {"MATOMO_DEFAULT_SITE_ID": "9"})
    assert sites.find(None).id == "9"


def test_sources_are_sites_and_the_one_with_reports_is_the_default(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, {}, TWO)
    assert [(site.id, site.name, site.source) for site in sites.all] == [
        ("1", "installers", None), ("2", "shop", "shop"), ("1", "elsewhere", "elsewhere"),
    ]  # fmt: skip
    assert sites.find(None).name == "shop"
    assert sites.find(1).name == "installers"  # of the Matomo that the default site is at
    assert sites.find("ElseWhere").connection.url == "https://other.example.org/stats"
    assert sites.find(3).connection.name == "shop"


def test_default_site_by_setting_goes_before_all_others(tmp_path: Path) -> None:
    settings = '[toolserver]\ndefault_site = "elsewhere"\n' + TWO
    assert sites_of(tmp_path, {"MATOMO_DEFAULT_SITE_ID": "2"}, settings).find(None).name == "elsewhere"


def test_numbered_variables(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, LIVE | NUMBERED)
    assert names(sites) == [("5", "Marketing"), ("7", "Docs: all of them")]
    assert sites.find(None).id == "5"
    assert sites.find("docs: ALL of them").id == sites.find("7").id == "7"


def test_map_with_colons_in_names(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, LIVE | {"MATOMO_SITE_MAP": "1:Marketing, 2:Docs: new", "MATOMO_DEFAULT_SITE_ID": "2"})
    assert names(sites) == [("1", "Marketing"), ("2", "Docs: new")]
    assert sites.find(None).name == "Docs: new"


def test_index_document_with_connections_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n", encoding="utf-8")
    document = {
        "defaultSiteId": "Shop",
        "sites": {
            "3": {"name": "Shop", "url": "https://shop.example.org", "description": "The shop", "team": "web"},
            "4": {
                "name": "Lab", "baseUrl": "https://lab.example.org/index.php", "tokenAuthVariable": "LAB_TOKEN",
                "tracking": {"baseUrl": "https://t.example.org/piwik.php", "tokenAuth": "writes"},
                "metadata": {"owner": "lab"},
            },
        },
    }  # fmt: skip
    sites = sites_of(tmp_path, index(**document) | {"LAB_TOKEN_FILE": str(tmp_path / "token")})
    shop, lab = sites.all
    assert sites.find(None) is shop
    assert (shop.url, shop.description, shop.metadata) == ("https://shop.example.org", "The shop", {"team": "web"})
    assert (lab.connection.url, lab.tracking_url) == ("https://lab.example.org", "https://t.example.org/piwik.php")
    assert lab.metadata == {"owner": "lab"}
    assert lab.tracking_token() == "writes"
    assert lab.connection.token() == "first"
    (tmp_path / "token").write_text("second\n", encoding="utf-8")
    assert lab.connection.token() == "second"
    assert "writes" not in repr(lab)


def test_index_document_as_a_list_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sites.json"
    file.write_text(json.dumps([{"siteId": 8, "name": "A"}, {"siteId": "9", "name": "B"}]), encoding="utf-8")
    sites = sites_of(tmp_path, LIVE | {"MATOKIT_SITE_INDEX_PATH": str(file)})
    assert names(sites) == [("8", "A"), ("9", "B")]


def test_inline_goes_before_map_and_map_before_file(tmp_path: Path) -> None:
    environ = LIVE | {
        "MATOKIT_SITE_INDEX_JSON": json.dumps({"sites": {"1": {"name": "inline"}}}),
        "MATOMO_SITE_MAP": "1:map",
        "MATOKIT_SITE_INDEX_PATH": str(tmp_path / "missing.json"),
    }
    assert names(sites_of(tmp_path, environ)) == [("1", "inline")]
    del environ["MATOKIT_SITE_INDEX_JSON"]
    assert names(sites_of(tmp_path, environ)) == [("1", "map")]


def test_a_listed_site_that_a_source_reads_has_its_tables(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, {"MATOMO_SITE_MAP": "2:The shop"}, TWO)
    assert [(site.id, site.name, site.source) for site in sites.all] == [
        ("2", "The shop", "shop"), ("1", "installers", None), ("1", "elsewhere", "elsewhere"),
    ]  # fmt: skip
    assert sites.find("shop") is sites.find("the SHOP")


def test_an_unlisted_site_is_refused_with_the_names(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, LIVE | NUMBERED)
    for wanted in (6, "6", "Unknown", "0", "-5", "5.0", "٥", "1e1", "5" * 400):
        with pytest.raises(Problem) as caught:
            sites.find(wanted)
        assert caught.value.status == 400
        assert "5 (Marketing), 7 (Docs: all of them)" in caught.value.guidance


def test_nothing_configured(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, {})
    assert sites.default is None
    for wanted in (None, 1):
        with pytest.raises(Problem) as caught:
            sites.find(wanted)
        assert "MATOMO_BASE_URL" in caught.value.guidance


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"MATOKIT_SITE_1_ID": "5", "MATOKIT_SITE_1_NAME": "A"}, "MATOKIT_SITE_0_ID is missing"),
        ({"MATOKIT_SITE_0_ID": "5"}, "MATOKIT_SITE_0_NAME is empty"),
        ({"MATOKIT_SITE_0_NAME": "A"}, "MATOKIT_SITE_0_ID is empty"),
        ({"MATOKIT_SITE_0_ID": "x", "MATOKIT_SITE_0_NAME": "A"}, 'MATOKIT_SITE_0_ID has "x"'),
        (NUMBERED | {"MATOKIT_SITE_1_ID": "5"}, "MATOKIT_SITE_1_ID lists site 5 twice"),
        (NUMBERED | {"MATOKIT_SITE_1_NAME": "MARKETING"}, 'MATOKIT_SITE_1_ID gives site 7 the name "MARKETING"'),
        (NUMBERED | {"MATOMO_DEFAULT_SITE_ID": "6"}, "MATOMO_DEFAULT_SITE_ID is"),
        (NUMBERED | {"MATOKIT_TOOLSERVER_DEFAULT_SITE": "None such"}, "toolserver.default_site is"),
        (NUMBERED | {"MATOMO_SITE_MAP": "5:Other"}, 'MATOMO_SITE_MAP names site 5 "Other", MATOKIT_SITE_0_ID'),
        ({"MATOKIT_SITE_0_URL": "https://a.example.org"}, "MATOKIT_SITE_0_URL is not a variable"),
        ({"MATOMO_SITE_MAP": "5"}, 'MATOMO_SITE_MAP has an entry "5"'),
        ({"MATOMO_SITE_MAP": "5:"}, "MATOMO_SITE_MAP has an entry"),
        ({"MATOMO_SITE_MAP": "1:A,1:B"}, "MATOMO_SITE_MAP lists site 1 twice"),
        ({"MATOKIT_SITE_INDEX_JSON": "{oops"}, "MATOKIT_SITE_INDEX_JSON is not valid JSON"),
        ({"MATOKIT_SITE_INDEX_JSON": "{}"}, 'MATOKIT_SITE_INDEX_JSON has no "sites"'),
        ({"MATOKIT_SITE_INDEX_JSON": '{"sites": {}}'}, "MATOKIT_SITE_INDEX_JSON lists no site"),
        ({"MATOKIT_SITE_INDEX_JSON": '{"sites": {"1": {}}}'}, "sites.1.name is no text"),
        ({"MATOKIT_SITE_INDEX_JSON": '{"sites": {"1": {"name": ""}}}'}, "sites.1.name is empty"),
        ({"MATOKIT_SITE_INDEX_JSON": '{"sites": {"1": {"name": "A"}, "1": {"name": "B"}}}'}, 'the key "1" twice'),
        ({"MATOKIT_SITE_INDEX_JSON": '{"sites": [{"name": "A"}]}'}, "sites[0] has no siteId"),
        ({"MATOKIT_SITE_INDEX_JSON": '{"sites": {"1": {"name": "A", "siteId": 2}}}'}, "another siteId than its key"),
        ({"MATOKIT_SITE_INDEX_JSON": '{"sites": {"1": {"name": "A", "baseUrl": "lab"}}}'}, "baseUrl must be"),
        (
            {"MATOKIT_SITE_INDEX_JSON": '{"sites": {"1": {"name": "A", "baseUrl": "https://lab.example.org"}}}'},
            "a baseUrl and no tokenAuth",
        ),
        (
            {"MATOKIT_SITE_INDEX_JSON": '{"sites": {"1": {"name": "A"}}, "defaultSiteId": 2}'},
            "defaultSiteId in MATOKIT_SITE_INDEX_JSON is",
        ),
        ({"MATOKIT_SITE_INDEX_JSON": '{"sites": {"14": {"name": "7"}}}'}, 'gives site 14 the name "7"'),
        (NUMBERED | {"MATOKIT_SITE_1_NAME": " 005 "}, 'MATOKIT_SITE_1_ID gives site 7 the name "005"'),
        ({"MATOMO_SITE_MAP": "5:6"}, 'MATOMO_SITE_MAP gives site 5 the name "6"'),
        ({"MATOKIT_SITE_INDEX_PATH": "/does/not/exist"}, "MATOKIT_SITE_INDEX_PATH names /does/not/exist"),
    ],
)
def test_faults_name_the_variable(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        sites_of(tmp_path, LIVE | environ)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_numbered(tmp_path: Path) -> None:
    environ = {f"MATOKIT_SITE_{n}_ID": str(n + 1) for n in range(26)}
    environ |= {f"MATOKIT_SITE_{n}_NAME": f"s{n}" for n in range(26)}
    with pytest.raises(SettingsError, match="MATOKIT_SITE_25_ID is one too many"):
        sites_of(tmp_path, LIVE | environ)


def test_a_list_without_any_matomo(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no Matomo is configured"):
        sites_of(tmp_path, NUMBERED)


@pytest.mark.parametrize("token", ["set-me", "change-me", "<token>", "token_auth_here", ""])
def test_a_placeholder_is_no_token(tmp_path: Path, token: str) -> None:
    sites = sites_of(tmp_path, LIVE | {"MATOMO_TOKEN": token})
    with pytest.raises(SettingsError):
        sites.check_tokens()
    sites_of(tmp_path, LIVE).check_tokens()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(
    inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["sites", "1", "2", "name", "siteId", "baseUrl", "tokenAuth", "tracking", "metadata", "defaultSiteId"]
    ), inner, max_size=4), max_leaves=12))  # fmt: skip
def test_any_document_is_read_or_refused_in_words(document: Any) -> None:
    registry, said = read_or_said({"MATOKIT_SITE_INDEX_JSON": json.dumps(document)})
    assert said.startswith("MATOKIT_SITE_INDEX_JSON") or len({site.id for site in registry.listed}) == len(
        registry.listed
    )
    assert bool(registry.listed) != bool(said)


@given(st.text(max_size=40))
def test_any_map_is_read_or_refused_in_words(text: str) -> None:
    registry, said = read_or_said({"MATOMO_SITE_MAP": text})
    assert said.startswith("MATOMO_SITE_MAP") or all(site.id.isdigit() and site.name for site in registry.listed)
    assert bool(registry.listed) != bool(said) or not text.strip()


def test_no_secret_in_what_is_said(tmp_path: Path) -> None:
    secret = "abcdef0123456789abcdef0123456789"
    broken = '{"sites": {"1": {"name": "", "tokenAuth": "' + secret + '"}}}'
    for text in (broken, broken[:-2], broken.replace('"name"', '"siteId": [], "name"')):
        with pytest.raises(SettingsError) as caught:
            sites_of(tmp_path, LIVE | {"MATOKIT_SITE_INDEX_JSON": text})
        assert secret not in str(caught.value)
    good = sites_of(tmp_path, index(sites={"1": {"name": "A", "tokenAuth": secret, "baseUrl": "https://a.example"}}))
    site: Site = good.find("A")
    assert site.connection.token() == secret
    assert secret not in repr(site) + repr(site.connection) + repr(read_registry({}))
