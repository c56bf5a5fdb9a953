"""`lint-events`, and the examples that warnings of contract drift carry to a person: build, run, status."""

from __future__ import annotations

import io
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from matokit_pipelines.cli import main
from matokit_pipelines.cli.lint_input import calls
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.orchestration import in_process
from matokit_pipelines.simulator import generate
from matokit_pipelines.warehouse.build import BuildOptions
from matokit_pipelines.warehouse.reading import RawEvent, read_all
from matokit_pipelines.warehouse.refresh import extract
from matokit_pipelines.windows import local_date, zone_named
from tests.simulated import home_of, simulator, small_truth

pytestmark = pytest.mark.slow

NAMES = yaml.safe_load((Path(__file__).parents[1] / "fixtures/normalisation/names.yaml").read_text(encoding="utf-8"))
CODES = (1, 10, 11, 20, 21, 30, 31, 40, 41, 99)
HOSTILE = [
    "'; drop schema raw; --",
    "</script><img src=x onerror=alert(1)>",
    "a\u202eb",
    "=cmd|' /C calc'!A0",
    "x" * 9_000,
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MATOKIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lint(capfd, *words):
    """`(exit code, stdout, stderr)`."""
    code = main.run(["lint-events", *map(str, words)])
    return code, *capfd.readouterr()


def kinds(events):
    return [{(f.kind, f.reason) for f in findings} for _, findings in read_all(BuildOptions(), events)]


def test_every_name_that_was_ever_sent_follows_the_convention_or_is_a_known_old_one():
    plain = [
        RawEvent("Installer_PROD", name, 1.0) for name in [*NAMES["components"], *NAMES["markers"], *NAMES["tests"]]
    ]
    suffixed = [
        RawEvent("Installer", name + suffix, 0.0) for name in NAMES["components"] for suffix in NAMES["error_suffixes"]
    ]
    coded = [RawEvent("AUTOINSTALLS", "Log", float(code)) for code in CODES]
    coded += [RawEvent("Installations", f"Log_{code}", None) for code in CODES]
    old = [RawEvent("Installer", name, 1.0) for name in NAMES["readable"]]
    old += [RawEvent("Installer", name, 0.0, commit="1.0.0") for name in NAMES["first_version"]]
    found = kinds([*plain, *suffixed, *coded, *old])
    fine = len(plain) + len(suffixed) + len(coded)
    assert found[:fine] == [set()] * fine
    assert found[fine:] == [{("old_name", "readable")}] * len(old)


def test_codes_that_only_tests_sent_are_named():
    found = kinds([RawEvent("AUTOINSTALLS", "Log", float(code)) for code in (0, 2, 5, 42, 100, 999)])
    assert found == [{("unknown_code", "not_listed")}] * 6


def test_lines_are_read_as_one_history_in_which_durations_decide_on_zeros():
    events = [RawEvent("Installer_CI", "python_install", value) for value in (0.0, 12.0)]
    assert [reading.outcome for reading, _ in read_all(BuildOptions(), events)] == ["success", "success"]
    assert [reading.outcome for reading, _ in read_all(BuildOptions(), events[:1])] == ["failure"]


def test_the_contract_of_our_own_sender_is_read_from_its_dimensions():
    event = RawEvent(
        "Installer",
        "python_install",
        0.0,
        contract="1",
        error_type="network",
        duration="12.5",
        exit_code="7",
        event_id="e1",
    )
    [(reading, findings)] = read_all(BuildOptions(), [event])
    assert (reading.form, reading.outcome, reading.error_type, reading.duration_s) == (
        "contract",
        "failure",
        "network",
        12.5,
    )
    assert findings == ()


def test_hostile_names_stay_text_and_are_cut(capfd, folder):
    lines = [json.dumps({"name": name, "value": 1}) for name in [*HOSTILE, "a\x1b[31mb\n\nc", "\0"]]
    (folder / "calls.jsonl").write_text("\n".join(lines), encoding="utf-8")
    code, out, err = lint(capfd, "calls.jsonl")
    assert (code, err) == (5, "")
    assert "\x1b" not in out
    assert max(len(line) for line in out.splitlines()) < 400
    assert out.splitlines()[-1] == "7 events, 7 break the contract."


def test_a_table_says_for_each_line_how_it_is_read_and_what_breaks(capfd, folder):
    (folder / "calls.csv").write_text(
        "# calls of install.sh\n\n"
        "category,name,value,os\n"
        "Installer_PROD,python_install,35,macOS14.2.1 (Sonoma)\n"
        "Installer_PROD,python_install_timeout_error,0,macOS14.2.1\n"
        "Instaler,python_install,1,\n"
        "Installer_NEW,python_install,test-con,HaikuOS\n"
        'Installer,"Python installation",1,\n',
        encoding="utf-8",
    )
    code, out, err = lint(capfd, "calls.csv")
    assert (code, err) == (5, "")
    lines = out.splitlines()
    read = "success of python_install in production, form enhanced, certain"
    assert lines[0] == f'line 4: "Installer_PROD" "python_install", value 35: {read}'
    assert [line[: line.index(":")] for line in lines if line.startswith("line")] == [
        f"line {n}" for n in (4, 5, 6, 7, 8)
    ]
    assert sum(line.startswith("  breaks: ") for line in lines) == 5
    assert 'the value "test-con" is no number' in out
    assert 'the category "Instaler" is not that of an installer' in out
    assert "ends like an error" in out
    assert 'note: "Python installation"' in out
    assert lines[-1] == "5 events, 3 break the contract."

    code, out, _ = lint(capfd, "calls.csv", "--quiet")
    assert code == 5
    assert [line[:7] for line in out.splitlines() if line.startswith("line")] == ["line 5:", "line 6:", "line 7:"]

    code, out, _ = lint(capfd, "calls.csv", "--json")
    assert code == 5
    rows = json.loads(out)
    assert [(row["line"], len(row["breaks"]), row["outcome"]) for row in rows] == [
        (4, 0, "success"), (5, 1, "failure"), (6, 1, "unknown"), (7, 3, "unknown"), (8, 0, "success"),
    ]  # fmt: skip


def test_plain_names_come_from_standard_input(capfd, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfpython_install\r\n\r\n  vscode_install  \r\n"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, err = lint(capfd, "-", "--category", "Installer_CI")
    assert (code, err) == (0, "")
    assert "success of vscode_install in ci" in out
    assert out.splitlines()[-1] == "2 events, 0 break the contract."


def test_settings_of_the_home_decide_which_categories_are_known(capfd, folder):
    (folder / "matokit.toml").write_text('[events.environments]\nSetup = "ci"\n', encoding="utf-8")
    (folder / "names").write_text("python_install\n", encoding="utf-8")
    assert lint(capfd, "names", "--category", "Setup")[0] == 0
    assert lint(capfd, "names", "--category", "Setups")[0] == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "a"}\n{"name"', "Line 2 is not JSON"),
        ('{"name": "a"}\n["b"]', "Line 2 is no JSON object"),
        ('{"nmae": "a"}', 'Line 1 names "nmae", which is no part of an event; use category, name, value'),
        ("category,name\nInstaller,a,1", "Line 2 has 3 cells and the header 2"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(capfd, folder, text, said):
    (folder / "calls").write_text(text, encoding="utf-8")
    code, out, err = lint(capfd, "calls")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_file_that_is_missing_or_no_text_is_named(capfd, folder):
    assert lint(capfd, "missing")[::2] == (
        2,
        "missing cannot be read (No such file or directory); name a file that can.\n",
    )
    (folder / "latin").write_bytes("gl\xfcck".encode("latin-1"))
    assert lint(capfd, "latin")[::2] == (2, "latin is not UTF-8 text; save it as UTF-8.\n")


def test_values_of_json_keep_null_apart_from_zero_and_what_is_no_number():
    found = calls(
        '{"name": "a", "value": null}\n{"name": "a", "value": 0}\n{"name": "a", "value": true}\n', category="X"
    )
    assert [(call.event.value, call.not_a_number) for call in found] == [(None, None), (0.0, None), (None, "true")]
    assert [call.line for call in found] == [1, 2, 3]


def test_a_header_may_be_parted_by_tabs_or_semicolons_and_a_name_may_be_a_word_of_it():
    for delimiter in "\t;,":
        text = delimiter.join(["name", "value"]) + "\n" + delimiter.join(['"a b"', "3"]) + "\n"
        assert [(c.event.name, c.event.value) for c in calls(text, category="X")] == [("a b", 3.0)]
    assert [c.event.name for c in calls("name\n", category="X")] == ["name"]


lines = st.text(max_size=200) | st.lists(
    st.sampled_from(
        ['{"name": "a"}', "name,value", "a,1", '"a', "\t", "name;category", "{", "[1]", "# x", "\0", "\ufeff"]
    )
    | st.text(max_size=10)
).map("\n".join)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=lines)
@example(text='{"a":' * 100_000)
@example(text="name,value\n" + '"' + "x" * 200_000 + '"')
def test_any_text_is_calls_or_one_sentence(text):
    try:
        found = calls(text, category="Installer")
    except SettingsError as error:
        found, sentence = [], str(error)
        assert sentence.count("\n") == 0
    assert [call.line for call in found] == sorted(call.line for call in found)


def test_half_a_surrogate_pair_is_read(capfd, folder):
    (folder / "calls").write_text('{"name": "a\\ud800", "value": 2}', encoding="utf-8")
    code, out, _ = lint(capfd, "calls")
    assert code == 5
    assert '"a?" is not lower-case words' in out


def test_too_many_lines_are_refused():
    with pytest.raises(SettingsError, match="split the file"):
        calls("a\n" * 100_001, category="X")


DRIFT = [
    ("Installer_NEW", "python_install", "macOS14.2.1"),
    ("Installer_PROD", "</script>\x1b[31m", "macOS14.2.1"),
    ("Installer_PROD", "python_install", "HaikuOS (Unknown Version)"),
]
LAND = """
insert into raw.matomo_events (
    source, site_id, event_id, visit_id, visitor_id, event_ts, fold_ambiguous, visit_first_ts, visit_last_ts, landed_at,
    changed_at, category, action, name, value, os_raw
)
values ('installers', '1', $id, 1, 'v', $now, false, $now, $now, $now, $now, $category, 'Event', $name, 30, $os)
"""


def touch(home, now):
    with home.warehouse.writer() as connection:
        day = local_date(now, zone_named(home.zone_name))
        connection.execute("insert into ledger.touched_days values (?, ?)", [day, now])


def put_drift(home, now):
    with home.warehouse.writer() as connection:
        for number, (category, name, os) in enumerate(DRIFT):
            values = {"id": f"drift-{number}", "now": now, "category": category, "name": name, "os": os}
            connection.execute(LAND, values)


def test_build_status_and_run_show_examples_of_what_is_new(capfd, folder, monkeypatch):
    truth = small_truth(days=3, events_per_day=20)
    monkeypatch.delenv("MATOKIT_HOME")
    with simulator(truth) as server:
        monkeypatch.setenv("MATOKIT_INSTALLERS_TOKEN", server.token)
        home = home_of(folder, server, truth)
        extract(home)
        put_drift(home, truth.end)

        assert main.run(["build"]) == 0
        built = capfd.readouterr().out
        assert "every installer category is in the list of categories (2 rows)\n" in built
        assert "\n  installer_new (events: 1, such as python_install)\n" in built
        assert "</script> [31m (not snake case" in built

        assert main.run(["status"]) == 0
        status = capfd.readouterr().out
        assert "  2 unlisted categories: installer_lab, installer_new\n" in status
        assert "  1 unknown operating system: HaikuOS\n" in status

        code, landed, _ = lint(capfd, "--landed", "--quiet")
        assert code == 5
        assert 'installers: "Installer_NEW" "python_install", value 30: 1 event, 2026-10-27 to 2026-10-27' in landed
        assert "\x1b" not in built + status + landed

        touch(home, truth.end)
        assert any(line.endswith(": HaikuOS (events: 1)") for line in in_process.refresh(home).lines)


def test_try_says_what_breaks_the_contract(capfd, monkeypatch):
    truth = generate(days=3, events_per_day=20, seed=3, end=datetime.now(UTC))
    with simulator(truth, now=lambda: datetime.now(UTC)) as server:
        monkeypatch.setenv("MATOKIT_INSTALLERS_TOKEN", server.token)
        assert main.run(["try", "--url", server.url, "--site", "1"]) == 0
    out = capfd.readouterr().out
    assert re.search(r"^To mend: no list has the category \"installer_lab\", .* \(\d+ events?\)\.$", out, re.MULTILINE)
    assert len(re.findall(r"^To mend: .* events?\)\.$", out, re.MULTILINE)) <= 5


def test_a_header_that_names_a_column_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match="the column name twice"):
        calls("name,name,value\na,b,1\n", category="Installer")
