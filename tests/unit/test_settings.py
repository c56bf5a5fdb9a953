"""Settings: one order, where each value came from, secrets from outside, and every mistake in one sentence."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matokit_pipelines.errors import USAGE, SettingsError
from matokit_pipelines.settings import HttpSettings, Settings, load

SOURCE = """
[[sources]]
name = "installers"
kind = "matomo"
url = "https://matomo.example.org"
site_id = 3
"""
UUID = "00000000-0000-4000-8000-000000000000"
PIWIK_PRO = (
    SOURCE.replace("matomo.example.org", "example.piwik.pro")
    .replace('"matomo"', '"piwik_pro"')
    .replace("site_id = 3", f'site_id = "{UUID}"')
)


def write(folder: Path, text: str, name: str = "matokit.toml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def refused(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    write(folder, text)
    with pytest.raises(SettingsError) as caught:
        load(environ=environ or {}, cwd=folder)
    said = str(caught.value)
    assert caught.value.exit_code == USAGE
    assert "\n" not in said, said
    assert said.endswith("."), said
    return said


def test_defaults_without_any_file(tmp_path: Path) -> None:
    loaded = load(environ={}, cwd=tmp_path)
    assert loaded.settings == Settings()
    assert (loaded.file, loaded.home, dict(loaded.origin)) == (None, tmp_path / ".matokit", {})


def test_order_in_which_the_file_is_found(tmp_path: Path) -> None:
    named = write(tmp_path, '[project]\ntimezone = "Asia/Tokyo"', "named.toml")
    by_variable = write(tmp_path, '[project]\ntimezone = "Asia/Kathmandu"', "variable.toml")
    in_home = write(tmp_path, '[project]\ntimezone = "America/New_York"', "home/matokit.toml")
    environ = {"MATOKIT_HOME": "home"}
    assert load(environ=environ, cwd=tmp_path).file == in_home
    here = write(tmp_path, '[project]\ntimezone = "Europe/Copenhagen"')
    assert load(environ=environ, cwd=tmp_path).file == here
    environ["MATOKIT_CONFIG"] = str(by_variable)
    assert load(environ=environ, cwd=tmp_path).settings.project.timezone == "Asia/Kathmandu"
    loaded = load(named, environ, tmp_path)
    assert loaded.settings.project.timezone == "Asia/Tokyo"
    assert loaded.home == tmp_path / "home"


def test_variables_lie_over_the_file_and_say_so(tmp_path: Path) -> None:
    write(tmp_path, SOURCE + "[http]\nattempts = 3")
    environ = {
        "MATOKIT_HTTP_ATTEMPTS": "9", "MATOKIT_INSTALLERS_START_DATE": "2026-01-31",
        "MATOKIT_INSTALLERS_DIMENSIONS": "{ os = 5 }", "MATOKIT_HPPT_ATTEMPTS": "1",
    }  # fmt: skip
    loaded = load(environ=environ, cwd=tmp_path)
    [source] = loaded.settings.sources
    assert loaded.settings.http.attempts == 9
    assert source.start_date == date(2026, 1, 31)
    assert source.dimensions == {"os": 5}
    assert source.site_id == "3"
    assert loaded.origin["http.attempts"] == "MATOKIT_HTTP_ATTEMPTS"
    assert loaded.origin["installers.url"] == "matokit.toml"
    assert loaded.strangers == ("MATOKIT_HPPT_ATTEMPTS",)


def test_env_file_beside_the_settings_is_read_below_the_environment(tmp_path: Path) -> None:
    write(tmp_path, SOURCE)
    write(tmp_path, "MATOKIT_INSTALLERS_TOKEN=from-file\nMATOKIT_HTTP_ATTEMPTS=2\n", ".env")
    loaded = load(environ={"MATOKIT_HTTP_ATTEMPTS": "4"}, cwd=tmp_path)
    assert loaded.credentials(loaded.settings.sources[0])[0] == "from-file"
    assert loaded.settings.http.attempts == 4


def test_secret_in_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    write(tmp_path, SOURCE)
    secret = write(tmp_path, "first\n", "token")
    loaded = load(environ={"MATOKIT_INSTALLERS_TOKEN_FILE": str(secret)}, cwd=tmp_path)
    source = loaded.settings.source("installers")
    assert loaded.credentials(source)[0] == "first"
    secret.write_text("second", encoding="utf-8")
    assert loaded.credentials(source)[0] == "second"
    secret.unlink()
    with pytest.raises(SettingsError, match="MATOKIT_INSTALLERS_TOKEN_FILE names"):
        loaded.credentials(source)[0]


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    write(tmp_path, SOURCE)
    assert "hush" not in repr(load(environ={"MATOKIT_INSTALLERS_TOKEN": "hush"}, cwd=tmp_path))


def test_variables_of_the_predecessor_work_without_a_file(tmp_path: Path) -> None:
    environ = {"MATOMO_BASE_URL": "https://m.example.org/index.php", "MATOMO_TOKEN": "t", "MATOMO_DEFAULT_SITE_ID": "7"}
    loaded = load(environ=environ, cwd=tmp_path)
    [source] = loaded.settings.sources
    assert (source.url, source.site_id, loaded.credentials(source)[0]) == ("https://m.example.org", "7", "t")
    assert loaded.origin["matomo.url"] == "MATOMO_BASE_URL"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[project]\ntimezon = 'UTC'", ("project.timezon", 'did you mean "timezone"')),
        ("[projects]\ntimezone = 'UTC'", ("projects", 'did you mean "project"')),
        ("nonsense = 1", ("nonsense", "is not a setting")),
        ("[project]\ntimezone = 'Mars/Olympus'", ("project.timezone", "IANA")),
        ("[project]\ntimezone = 3", ("project.timezone",)),
        ("project = 3", ("project",)),
        ("sources = 3", ("sources",)),
        ("sources = [3]", ("sources",)),
        ("[[sources]]\nname = 'a'", ("sources[a]", "is missing")),
        (SOURCE.replace("https://", "ftp://"), ("sources[installers].url", "web address")),
        (SOURCE.replace("https://", "https://me:secret@"), ("without credentials",)),
        (SOURCE.replace("example.org", "example.org/index.php?token_auth=secret"), ('"?"',)),
        (SOURCE.replace("matomo.example.org", "[::1"), ("sources[installers].url",)),
        (SOURCE.replace("example.org", "example.org:99999"), ("sources[installers].url",)),
        (SOURCE + "start_date = 0001-01-01", ("start_date",)),
        (SOURCE.replace("installers", "Installers!"), ("name", "lower-case")),
        (SOURCE + SOURCE, ("two sources", "installers")),
        (SOURCE.replace("installers", "http"), ("section",)),
        (SOURCE + "page_size = 0", ("page_size",)),
        (SOURCE + "dimensions = { color = 1 }", ("dimensions",)),
        (SOURCE + "start_date = 2026-13-01", ("TOML",)),
        (SOURCE + "start_date = 'soon'", ("start_date",)),
        ("[events.environments]\nX = 'space'", ("events.environments.X",)),
        ("[http]\nbudget = 'long'", ("http.budget",)),
        ("[project", ("not valid TOML",)),
        (PIWIK_PRO.replace(UUID, "1"), ("sources[installers]", "not an id of Piwik PRO")),
        (PIWIK_PRO + "page_size = 100001", ("page_size",)),
        (SOURCE + "page_size = 10001", ("page_size", "10000")),
        (SOURCE + "slots = { os = 1 }", ("slots", "Piwik PRO only")),
        (SOURCE + "real_time = true", ("real_time", "Piwik PRO only")),
        (PIWIK_PRO + "dimensions = { os = 1, commit = 1 }", ("two meanings",)),
        (PIWIK_PRO + "slots = { os = 2, commit = 2 }", ("slots", "two meanings")),
        (PIWIK_PRO + "mirror_of = 'installers'", ("mirror of itself",)),
        (PIWIK_PRO + "mirror_of = 'nobody'", ("no source that counts", "none")),
        (PIWIK_PRO + PIWIK_PRO.replace("installers", "again"), ("installers and again read the same site",)),
        ("[http]\nrequests = 3", ("http.requests",)),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    said = refused(tmp_path, text)
    assert all(word in said for word in words), said
    assert "secret" not in said


def test_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "matokit.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"not valid TOML.*\.$"):
        load(environ={}, cwd=tmp_path)


def test_misspelt_variable_of_a_source_is_told(tmp_path: Path) -> None:
    said = refused(tmp_path, SOURCE, {"MATOKIT_INSTALLERS_SITE": "4"})
    assert "MATOKIT_INSTALLERS_SITE" in said
    assert 'did you mean "site_id"' in said


def test_missing_token_names_its_variable(tmp_path: Path) -> None:
    write(tmp_path, SOURCE)
    loaded = load(environ={}, cwd=tmp_path)
    with pytest.raises(SettingsError, match="MATOKIT_INSTALLERS_TOKEN"):
        loaded.credentials(loaded.settings.sources[0])[0]


@given(st.text(max_size=60))
@example("\r")  # no line break of TOML
def test_any_text_is_settings_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "matokit.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(SettingsError):
        assert load(environ={}, cwd=folder).settings == Settings.model_validate(tomllib.loads(text))


@given(st.dictionaries(st.sampled_from(list(HttpSettings.model_fields)), st.floats(), max_size=3))
def test_any_number_of_patience_is_taken_or_told(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, float]
) -> None:
    environ = {f"MATOKIT_HTTP_{key.upper()}": repr(value) for key, value in values.items()}
    with suppress(SettingsError):
        http = load(environ=environ, cwd=tmp_path_factory.mktemp("any")).settings.http
        assert 1 <= http.attempts <= 20
        assert min(http.budget, http.connect_timeout, http.read_timeout) > 0
        assert timedelta(seconds=http.budget + http.longest_wait) < timedelta(days=8)


@pytest.mark.parametrize("group", ["nobody", "of", "model_fields", "Slack:#a"])
def test_a_rule_tells_groups_and_destinations_that_there_are(tmp_path: Path, group: str) -> None:
    (tmp_path / "matokit.toml").write_text(f'[alerts.rules.arch_gap]\ndestinations = ["{group}"]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"alerts\.rules\.arch_gap\.destinations: .*nor one of on_call"):
        load(environ={}, cwd=tmp_path)
