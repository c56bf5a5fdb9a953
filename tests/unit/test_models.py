"""Models of sql/: what model.yaml may say, order, tables, checks made from it, and what a failing check does."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from matokit_pipelines import resources, statistics
from matokit_pipelines.errors import CheckFailed, SettingsError
from matokit_pipelines.warehouse.build import BuildOptions, build, state_hashes
from matokit_pipelines.warehouse.checks import run_checks, written_checks
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.models import ModelError, in_order, load_models
from matokit_pipelines.warehouse.reading import RawEvent, explain
from matokit_pipelines.warehouse.seeds import load_seeds

SQL = resources.path("sql")
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
HEAD = "description: A table of a test.\ngrain: id\nmaterialisation: full\n"
COLUMNS = "columns:\n  - {name: id, type: bigint, key: true, description: The id.}\n"


@pytest.fixture
def con():
    connection = in_memory(NOW)
    yield connection
    connection.close()


@pytest.fixture
def root(tmp_path):
    for layer in ("staging", "marts"):
        (tmp_path / layer).mkdir()
    shutil.copytree(SQL / "seeds", tmp_path / "seeds")
    shutil.copy(SQL / "macros.sql", tmp_path)
    return tmp_path


def write(root, name, description=HEAD + COLUMNS, query="select 1 as id", checks=None):
    folder = root / name.replace(".", "/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(description, encoding="utf-8")
    (folder / "query.sql").write_text(query, encoding="utf-8")
    if checks is not None:
        (folder / "checks.sql").write_text(checks, encoding="utf-8")


def reads(*tables):
    return HEAD + "reads: [" + ", ".join(tables) + "]\n" + COLUMNS


@pytest.mark.parametrize(
    "wrong",
    [
        HEAD + "owner: nobody\n" + COLUMNS,
        HEAD,
        HEAD.replace("full", "sometimes") + COLUMNS,
        HEAD.replace("full", "incremental") + COLUMNS,
        HEAD + COLUMNS + "  - {name: id, type: bigint, description: The id again.}\n",
        HEAD + COLUMNS.replace("bigint", "hugeint"),
        HEAD + COLUMNS.replace("name: id", "name: Id"),
        "description: [",
    ],
)
def test_a_wrong_description_is_refused_and_named(root, wrong):
    write(root, "marts.wrong", wrong)
    with pytest.raises(ModelError, match=r"model\.yaml"):
        load_models(root)


def test_a_folder_without_query_is_refused(root):
    write(root, "marts.half")
    (root / "marts" / "half" / "query.sql").unlink()
    with pytest.raises(ModelError, match=r"marts\.half"):
        load_models(root)


def test_models_come_after_what_they_read(root):
    write(root, "staging.z_first")
    write(root, "marts.a_last", reads("marts.b_middle"))
    write(root, "marts.b_middle", reads("staging.z_first", "ledger.sources"))
    assert [m.name for m in in_order(load_models(root))] == ["staging.z_first", "marts.b_middle", "marts.a_last"]


def test_a_circle_of_models_is_named(root):
    write(root, "marts.a", reads("marts.b"))
    write(root, "marts.b", reads("marts.a"))
    with pytest.raises(ModelError, match=r"circle.*marts\.a"):
        in_order(load_models(root))


def test_a_model_may_not_read_what_is_not_there(root):
    write(root, "marts.a", reads("staging.nothing"))
    with pytest.raises(ModelError, match=r"staging\.nothing"):
        in_order(load_models(root))


def test_a_change_reaches_the_state_of_all_that_follows(root):
    write(root, "staging.a")
    write(root, "staging.other")
    write(root, "marts.b", reads("staging.a", "seeds.parameters"))

    def states(zero_value="failure"):
        seeds = load_seeds(root / "seeds", BuildOptions(zero_value=zero_value))
        return state_hashes(in_order(load_models(root)), "", seeds)

    before = states()
    write(root, "staging.a", query="select 2 as id")
    after = states()
    assert {name for name in before if before[name] != after[name]} == {"staging.a", "marts.b"}
    assert {name for name in after if after[name] != states("success")[name]} == {"marts.b"}


def test_a_changed_column_makes_the_table_anew(con, root):
    write(root, "marts.a")
    build(con, options=BuildOptions(), now=NOW, sql_root=root)
    write(root, "marts.a", HEAD + COLUMNS.replace("bigint", "varchar"), "select 'x' as id")
    result = build(con, options=BuildOptions(), now=NOW, sql_root=root)
    assert result.rebuilt == ("marts.a",)
    assert con.execute("select id from marts.a").fetchall() == [("x",)]


def test_the_table_of_a_removed_model_is_dropped(con, root):
    write(root, "marts.a")
    write(root, "marts.b")
    build(con, options=BuildOptions(), now=NOW, sql_root=root)
    shutil.rmtree(root / "marts" / "b")
    build(con, options=BuildOptions(), now=NOW, sql_root=root)
    left = "select table_name from information_schema.tables where table_schema = 'marts'"
    assert con.execute(left).fetchall() == [("a",)]


RULES = """description: A table of a test.
grain: id
materialisation: full
columns:
  - {name: id, type: bigint, key: true, description: The id.}
  - {name: colour, type: varchar, values: [red, blue], description: One of two.}
  - {name: share, type: double, nullable: true, range: [0, 1], description: A share.}
  - {name: events, type: bigint, range: [0, null], description: A count.}
  - {name: success_rate, type: double, nullable: true, description: A rate.}
  - {name: success_rate_low, type: double, nullable: true, description: Its low end.}
  - {name: success_rate_high, type: double, nullable: true, description: Its high end.}
"""
GOOD = {"id": 1, "colour": "'red'", "share": 0.5, "events": 4, "success_rate": 0.5, "success_rate_low": 0.2,
        "success_rate_high": 0.8}  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        ({"id": "null"}, "id_not_null"),
        ({"colour": "null"}, "colour_not_null"),
        ({"colour": "'green'"}, "colour_values"),
        ({"share": 1.01}, "share_range"),
        ({"share": -0.01}, "share_range"),
        ({"share": "'nan'::double"}, "share_range"),
        ({"events": -1}, "events_range"),
        ({"success_rate": 0.81}, "success_rate_interval"),
        ({"success_rate": 0.19}, "success_rate_interval"),
        ({"success_rate": "null"}, "success_rate_null_without_events"),
        ({"events": 0}, "success_rate_null_without_events"),
    ],
)
def test_checks_made_from_the_description_find_the_broken_row(con, root, broken, check):
    rows = [GOOD, GOOD | {"id": 2} | broken]
    selects = [", ".join(f"{value} as {name}" for name, value in row.items()) for row in rows]
    write(root, "marts.a", RULES, " union all ".join(f"select {select}" for select in selects))
    with pytest.raises(CheckFailed) as failure:
        build(con, options=BuildOptions(), now=NOW, sql_root=root)
    assert check in str(failure.value)
    assert "marts.a" in str(failure.value)
    assert "failed for 1 rows" in str(failure.value)


def test_a_key_that_is_there_twice_is_found(con, root):
    write(root, "marts.a", query="select 1 as id union all select 1 as id")
    with pytest.raises(CheckFailed, match="key_unique"):
        build(con, options=BuildOptions(), now=NOW, sql_root=root)


def test_sound_rows_pass_every_check(con, root):
    write(root, "marts.a", RULES, "select " + ", ".join(f"{value} as {name}" for name, value in GOOD.items()))
    result = build(con, options=BuildOptions(), now=NOW, sql_root=root)
    assert len(result.checks) == 9
    assert all(check.passed for check in result.checks)


CHECKS = """-- #fail none_negative: no id is below 0
select id from marts.a where id < 0;

-- #warn few: there are at most two rows
select 1 from marts.a having count(*) > 2;
"""


def test_written_checks_fail_or_warn(con, root):
    write(root, "marts.a", query="select * from (values (1), (2), (3)) as t(id)", checks=CHECKS)
    result = build(con, options=BuildOptions(), now=NOW, sql_root=root)
    assert [(check.name, check.failing_rows, check.sentence) for check in result.warnings] == [
        ("few", 1, "there are at most two rows")
    ]
    write(root, "marts.a", query="select -1 as id", checks=CHECKS)
    with pytest.raises(CheckFailed, match="none_negative"):
        build(con, options=BuildOptions(), now=NOW, sql_root=root)


def test_a_failing_check_leaves_everything_as_it_was(con, root):
    write(root, "marts.a")
    build(con, options=BuildOptions(), now=NOW, sql_root=root)
    states = con.execute("select * from ledger.model_state order by all").fetchall()
    con.execute("insert into ledger.touched_days values ('2026-11-20', ?)", [NOW])
    write(root, "marts.a", query="select null as id")
    with pytest.raises(CheckFailed):
        build(con, options=BuildOptions(), now=NOW, sql_root=root)
    assert con.execute("select id from marts.a").fetchall() == [(1,)]
    assert con.execute("select * from ledger.model_state order by all").fetchall() == states
    assert con.execute("select count(*) from ledger.touched_days").fetchall() == [(1,)]


def test_text_before_the_first_check_is_refused(root):
    write(root, "marts.a", checks="select 1;\n" + CHECKS)
    with pytest.raises(ModelError, match=r"checks\.sql"):
        written_checks(load_models(root)["marts.a"])


def test_rows_that_are_lost_between_raw_and_staging_are_found(con):
    build(con, options=BuildOptions(), now=NOW)
    model = load_models(SQL)["staging.installer_events"]
    assert all(check.passed for check in run_checks(con, model))
    con.execute(
        "insert into raw.matomo_events by name select 's' as source, '1' as site_id, '1' as event_id, 1 as visit_id,"
        " ?::timestamptz as event_ts, false as fold_ambiguous, event_ts as visit_first_ts, event_ts as visit_last_ts,"
        " event_ts as landed_at, event_ts as changed_at",
        [NOW],
    )
    assert [check.name for check in run_checks(con, model) if not check.passed] == ["landed_is_derived"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"zero_value": "perhaps"},
        {"project_zone": "Europe/Kopenhagen"},
        {"environments": {"Setup": "prod"}},
        {"component_codes": {50: ("latex_install", "fine")}},
        {"component_codes": {50: (None, "success")}},
    ],
)
def test_wrong_options_are_refused_in_a_sentence(wrong):
    with pytest.raises(SettingsError, match=r"use|need"):
        BuildOptions(**wrong)


def test_the_macros_say_what_the_statistics_say(con):
    build(con, options=BuildOptions(), now=NOW)
    for events in (0, 1, 2, 7, 30, 1000, 123456):
        for successes in sorted({0, 1, events // 2, events - 1, events} & set(range(events + 1))):
            found = con.execute(
                "select rate($s, $n), wilson_low($s, $n), wilson_high($s, $n)", {"s": successes, "n": events}
            ).fetchall()[0]
            bounds = statistics.wilson(successes, events) or (None, None)
            assert found == pytest.approx((statistics.rate(successes, events), *bounds), abs=1e-12)


def test_explain_goes_through_the_rules_up_to_the_one_that_matches():
    reading = explain(
        BuildOptions(),
        RawEvent("Installer_CI", "python_install_network_error", 0.0, os="Darwin14.2.1", architecture="aarch64"),
    )
    assert (reading.environment, reading.component, reading.outcome) == ("ci", "python_install", "failure")
    assert (reading.rule, reading.form, reading.error_type, reading.confidence) == (4, "enhanced", "network", "certain")
    assert (reading.os_release, reading.architecture, reading.commit_reason) == ("macOS 14.2", "arm64", "empty")
    asked = [step for step in reading.steps if step.startswith("Rule ")]
    assert [step.split(":")[0] for step in asked] == ["Rule 1", "Rule 2", "Rule 3", "Rule 4"]
    assert asked[-1].endswith("Yes.")
    assert all(step.endswith("No.") for step in asked[:-1])


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (RawEvent("Newsletter"), "not that of an installer"),
        (RawEvent("Installer_QA", "python_install", 1.0), "contract drift"),
        (RawEvent("Installer", "python_install", 0.0), "a failure when nothing else is known"),
        (RawEvent("Installer", "orchestrator_start", 1.0), "left out as marker"),
        (RawEvent("Installer", "python_install", -0.5), "Rule 10: is the value negative or not finite? Yes."),
        (RawEvent(None), "(not sent)"),
    ],
)
def test_explain_says_why(event, said):
    assert any(said in step for step in explain(BuildOptions(), event).steps)


def test_explain_follows_the_settings():
    event = RawEvent("AUTOINSTALLS", "Log", 50.0)
    options = BuildOptions(
        environments={"autoinstalls": "production"}, component_codes={50: ("latex_install", "success")}
    )
    reading = explain(options, event)
    assert (reading.environment, reading.component, reading.counted) == ("production", "latex_install", True)
