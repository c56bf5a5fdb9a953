"""The command line against a simulated Matomo: what a person types, sees, and gets as exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from matokit_pipelines import settings
from matokit_pipelines.cli import main
from matokit_pipelines.simulator.matomo_server import MatomoSimulator
from matokit_pipelines.simulator.truth import Truth, generate

README = Path(__file__).parents[2] / "README.md"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return generate(days=12, events_per_day=60, seed=5, end=NOW)


@pytest.fixture(scope="module")
def server(truth: Truth) -> Iterator[MatomoSimulator]:
    with MatomoSimulator(truth, now=lambda: datetime.now(UTC)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: MatomoSimulator) -> Path:
    """An empty folder as current one, with the token in the environment and nothing else of ours."""
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MATOKIT_INSTALLERS_TOKEN", server.token)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def matokit(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """`(exit code, stdout, stderr)` of one command."""
    code = main.run(list(words))
    out, err = capfd.readouterr()
    return code, out, err


@pytest.mark.slow
def test_the_walk_of_the_readme(
    folder: Path, server: MatomoSimulator, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    first = truth.start.date()
    sent = truth.events.filter(truth.events["category"].is_not_null()).height

    code, out, err = matokit(capfd, "try", "--url", server.url, "--site", "1")
    assert (code, err) == (0, "")
    assert 'Site 1 is "Installer scripts", in Europe/Copenhagen' in out
    assert "Success in production: " in out
    assert list(folder.iterdir()) == []

    code, out, _ = matokit(
        capfd, "init", "--url", server.url, "--site", "1", "--timezone", "Europe/Copenhagen",
        "--start-date", str(first),
    )  # fmt: skip
    assert code == 0
    assert "MATOKIT_INSTALLERS_TOKEN" in out
    code, _, err = matokit(capfd, "init", "--url", server.url)
    assert code == 2
    assert "--force" in err

    code, out, _ = matokit(capfd, "doctor")
    assert code == 0
    assert "FAIL" not in out
    assert not (folder / ".matokit" / "warehouse.duckdb").exists()

    code, out, err = matokit(capfd, "run")
    assert (code, err) == (0, "")
    assert f"installers: {sent:,} new events" in out
    page = re.search(r"Weekly page (\S+)", out)
    assert page
    assert Path(page[1]).is_file()

    code, out, _ = matokit(capfd, "status")
    assert code == 0
    assert f"{sent:,} events" in out
    assert "agree with the source's own report" in out

    code, out, _ = matokit(capfd, "run")
    assert code == 0
    assert "installers: 0 new events" in out
    assert "Weekly page" not in out

    code, out, _ = matokit(capfd, "query", "select sum(events) as n from success_rate_daily", "--json")
    assert code == 0
    assert json.loads(out)[0]["n"] > 0
    code, out, _ = matokit(capfd, "query", "--warehouse", "select count(*) as n from raw.matomo_events", "--json")
    assert json.loads(out) == [{"n": sent}]
    odd = "select 'nan'::double as a, '-inf'::double as a, ['inf'::double, 0.5] as b, map {1.5: 'nan'::double} as c"
    code, out, _ = matokit(capfd, "query", odd, "--json")
    assert code == 0
    [row] = json.loads(out, parse_constant=pytest.fail)
    assert row == {"a": None, "a_2": None, "b": [None, 0.5], "c": {"1.5": None}}
    code, _, err = matokit(capfd, "query", "drop table success_rate_daily")
    assert code == 2
    assert err.count("\n") == 1

    code, out, _ = matokit(capfd, "report", "weekly", "--json")
    assert code == 0
    assert Path(json.loads(out)[0]["html"]).is_file()
    code, _, err = matokit(capfd, "report", "weekly", "--period", "2026-46")
    assert (code, err) == (2, '"2026-46" is not a week; write it as 2026-W46.\n')
    for report, period in (("weekly", "2100-W01"), ("daily", "2100-01-01"), ("monthly", "2100-01")):
        code, _, err = matokit(capfd, "report", report, "--period", period)
        assert code == 2
        assert err.endswith("has not begun yet; name an earlier one with --period.\n")

    code, out, _ = matokit(capfd, "extract", "--from", str(first), "--to", str(first), "--json")
    assert code == 0
    assert json.loads(out)[0]["new"] == 0
    code, out, _ = matokit(capfd, "build", "--full", "--json")
    assert code == 0
    assert {row["table"] for row in json.loads(out)} >= {"staging.installer_events", "marts.component_daily"}


UUID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("kind", "site", "left_out"),
    [("matomo", "1", {"mirror_of", "slots", "real_time"}), ("piwik_pro", UUID, {"mirror_of"})],
)
def test_the_file_that_init_writes_is_read_back_and_explains_every_key(
    folder: Path, capfd: pytest.CaptureFixture[str], kind: str, site: str, left_out: set[str]
) -> None:
    words = ["--kind", kind, "--url", "https://analytics.example.org", "--site", site]
    code, _, _ = matokit(capfd, "init", *words, "--dimensions", "os=4,commit=6")
    assert code == 0
    loaded = settings.load(environ={}, cwd=folder)
    assert loaded.settings.sources[0].dimensions == {"os": 4, "commit": 6}
    text = (folder / "matokit.toml").read_text(encoding="utf-8")
    for section in (settings.ProjectSettings, settings.SourceSettings, settings.EventSettings, settings.HttpSettings):
        for key, field in section.model_fields.items():
            assert bool(re.search(rf"^(# )?{key} = ", text, re.MULTILINE)) == (key not in left_out), key
            assert (f"# {field.description}" in text) == (key not in left_out)
    uncommented = re.sub(r"^# ([a-z_]+ = )", r"\1", text, flags=re.MULTILINE)
    (folder / "all.toml").write_text(uncommented, encoding="utf-8")
    assert settings.load(folder / "all.toml", environ={}, cwd=folder).settings.http == settings.HttpSettings()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nonsense"], 2, "No such command"),
        (["extract", "--to", "2026-11-01"], 2, "--to needs --from; give both days."),
        (["extract", "--from", "yesterday"], 2, '"yesterday" is not a day; write it as 2026-11-20.'),
        (["extract", "--from", "2026-11-02", "--to", "2026-11-01"], 2, "give them the other way round."),
        (["extract"], 2, "No source is set up; `matokit init` writes a settings file to begin with."),
        (["--config", "none.toml", "status"], 2, "There is no settings file none.toml; `matokit init` writes one."),
        (["status"], 3, "There is no warehouse at"),
        (["query", "select 1"], 3, "Nothing has been published in"),
        (["report", "weekly"], 3, "Nothing has been published in"),
        (["init", "--timezone", "Mars/Olympus"], 2, "timezone: is not an IANA time zone"),
        (["init", "--dimensions", "os"], 2, '"os" does not name dimensions; write os=1'),
        (["init", "--kind", "other"], 2, "kind: input should be 'piwik_pro' or 'matomo'."),
        (["try", "--kind", "matomo", "--url", "ftp://x", "--site", "1"], 2, "url: must be a web address"),
        (["demo", "--home", "."], 2, "was not made by the demo, so it is left alone"),
    ],
)
def test_wrong_words_get_one_sentence_and_their_exit_code(
    folder: Path, capfd: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    (folder / "mine.txt").write_text("precious", encoding="utf-8")
    found, out, err = matokit(capfd, *words)
    assert found == code
    assert said in err
    assert out == ""
    assert (folder / "mine.txt").read_text(encoding="utf-8") == "precious"


def test_a_defect_of_ours_is_one_sentence_and_its_traceback_only_on_request(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(settings, "load", broken)
    code, _, err = matokit(capfd, "status")
    assert code == 1
    assert err.count("\n") == 1
    assert "defect of matokit (ZeroDivisionError: division by zero)" in err
    code, _, err = matokit(capfd, "--debug", "status")
    assert code == 1
    assert "Traceback" in err


def test_help_names_every_command_of_the_readme_and_the_readme_every_command(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = matokit(capfd, "--help")
    assert code == 0
    commands = set(re.findall(r"^  ([a-z-]+)  ", out.split("Commands:")[1], re.MULTILINE))
    text = README.read_text(encoding="utf-8")
    table = text.split("## The commands")[1].split("\n## ")[0]
    for command in commands:
        assert re.search(rf"[`· ]{command}\b", table), command
    for command in re.findall(r"matokit ([a-z-]+)", text):
        assert command in commands | {"reads"}, command


def test_help_needs_no_database_and_no_graph() -> None:
    script = (
        "import sys\n"
        "from matokit_pipelines.cli import main\n"
        "main.run(['--help'])\n"
        "heavy = {'duckdb', 'polars', 'dagster', 'pydantic', 'altair', 'requests', 'numpy', 'pyarrow'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_nothing_secret_is_written_anywhere(
    folder: Path, server: MatomoSimulator, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    matokit(capfd, "init", "--url", server.url, "--start-date", str(NOW.date()))
    for words in (["doctor"], ["run"], ["status"]):
        code, out, err = matokit(capfd, *words)
        assert code == 0, (words, out, err)
        assert server.token not in out + err
    for file in folder.rglob("*"):
        if file.is_file():
            assert server.token.encode() not in file.read_bytes(), file
