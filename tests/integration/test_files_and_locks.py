"""Two traps of the engine: ordinary file calls drop its lock, and a reused name gives an old database for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from matokit_pipelines.cli import main
from matokit_pipelines.clock import FixedClock, SystemClock
from matokit_pipelines.errors import FINE, NothingPublished, WarehouseError
from matokit_pipelines.settings import Loaded
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import KEPT, Manifest, current_file, open_current, publish, serving_folder
from tests.simulated import home_of, simulator, small_truth

pytestmark = pytest.mark.slow

TRUTH = small_truth()
ROOT = str(Path(__file__).parents[2])
INTRUDER = """
import sys, duckdb
try:
    duckdb.connect(sys.argv[1]).close()
except duckdb.IOException as error:
    sys.exit(7 if "lock" in str(error).lower() else 1)
"""


def may_write(path: Path) -> bool:
    """Whether another process gets the file for writing."""
    code = subprocess.run([sys.executable, "-c", INTRUDER, str(path)], check=False, timeout=30).returncode
    assert code in (0, 7)
    return code == 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home with a snapshot, its server still up."""
    with simulator(TRUTH) as server:
        made = home_of(tmp_path, server, TRUTH)
        refresh.extract(made)
        refresh.build_and_publish(made)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MATOKIT_INSTALLERS_TOKEN", server.token)
        yield made


COMMANDS = {
    "status": ["status"],
    "doctor": ["doctor"],
    "query": ["query", "select count(*) from success_rate_daily"],
    "query the warehouse": ["query", "--warehouse", "select 1"],
    "report": ["report", "weekly"],
    "explain": ["explain", "--category", "Installer", "--name", "python_install", "--value", "1"],
    "extract": ["extract"],
    "build": ["build"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_lets_another_writer_in(home: Home, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """With the warehouse open here, whatever else this process does must leave the lock of the file alone."""

    def impatient(cls: type[Home], loaded: Loaded, clock: SystemClock) -> Home:
        return cls(loaded, clock, Warehouse(loaded.home, clock, wait_seconds=0.1))

    monkeypatch.setattr(Home, "of", classmethod(impatient))
    with home.warehouse.writer() as connection:
        connection.execute("create or replace table main.mark as select 1 as n")
        assert not may_write(home.warehouse.path)
        main.run(COMMANDS[name])
        assert not may_write(home.warehouse.path)
    assert may_write(home.warehouse.path)


AUDITED = """
import json, sys
touched = []
def hook(event, arguments):
    if event in ("open", "shutil.copyfile", "os.rename", "os.remove") and str(arguments[0]).endswith("house.duckdb"):
        touched.append([event, str(arguments[0])])
sys.addaudithook(hook)
from matokit_pipelines.cli import main
codes = [main.run(command) for command in json.loads(sys.argv[1])]
print(json.dumps([codes, touched]))
"""


@pytest.mark.slow
def test_no_command_touches_the_warehouse_with_ordinary_file_calls(home: Home) -> None:
    commands = [["extract"], ["build", "--full"], *(words for words in COMMANDS.values())]
    environ = {**os.environ, "PYTHONPATH": ROOT}
    ran = subprocess.run(
        [sys.executable, "-c", AUDITED, json.dumps(commands)], env=environ, cwd=home.loaded.home.parent,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    codes, touched = json.loads(ran.stdout.splitlines()[-1])
    assert touched == []
    assert codes == [FINE] * len(commands), ran.stderr


def publish_value(home: Home, value: int) -> Manifest:
    with home.warehouse.writer() as connection:
        connection.execute("create or replace table marts.success_rate_daily as select ? as n", [value])
    return publish(home.warehouse, code_version="1", rule_version="1", project_zone="UTC")


def value_in(home: Home) -> int:
    with open_current(home.loaded.home) as snapshot:
        return int(snapshot.query("select n from success_rate_daily")["n"].item())


def test_reader_that_opens_before_it_closes_sees_the_new_snapshot(home: Home) -> None:
    publish_value(home, 1)
    with open_current(home.loaded.home) as old:
        publish_value(home, 2)
        with open_current(home.loaded.home) as new:
            assert new.query("select n from success_rate_daily")["n"].item() == 2
            assert new.manifest.generation == old.manifest.generation + 1
            assert new.path != old.path
        assert old.query("select n from success_rate_daily")["n"].item() == 1, "what is held stays whole"


def test_names_are_never_used_twice_and_few_are_kept(home: Home) -> None:
    folder = serving_folder(home.loaded.home)
    names = set()
    with open_current(home.loaded.home) as held:
        before = held.query("select count(*) as n from success_rate_daily")["n"].item()
        for value in range(2 * KEPT):
            publish_value(home, value)
            name = current_file(home.loaded.home).name
            assert name not in names
            names.add(name)
            assert value_in(home) == value
        assert not held.path.exists()
        assert held.query("select count(*) as n from success_rate_daily")["n"].item() == before
    assert len(list(folder.glob("marts-*.duckdb"))) == KEPT
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("marts-")) == ["CURRENT"]


def test_snapshot_that_never_came_into_service_does_not_lend_its_name(home: Home) -> None:
    """As after a crash between naming the file and pointing to it."""
    manifest = publish_value(home, 1)
    folder = serving_folder(home.loaded.home)
    orphan = folder / f"marts-{manifest.generation + 1}.duckdb"
    orphan.write_bytes(b"half")
    (folder / ".tmp-9-1.duckdb").write_bytes(b"half")
    assert publish_value(home, 2).generation == manifest.generation + 2
    assert value_in(home) == 2
    assert list(folder.glob(".tmp-*")) == []


def test_one_process_may_hold_a_snapshot_more_than_once(home: Home) -> None:
    with open_current(home.loaded.home) as one, open_current(home.loaded.home) as two:
        assert one.manifest == two.manifest
        zone = "select current_setting('timezone') as zone"
        assert one.query(zone)["zone"].item() == two.query(zone)["zone"].item() == "UTC"


@pytest.mark.parametrize(
    "sql",
    [
        "insert into success_rate_daily select * from success_rate_daily",
        "drop table success_rate_daily",
        "copy success_rate_daily to 'stolen.csv'",
        "select * from read_csv('/etc/passwd')",
        "attach 'other.duckdb'",
        "install httpfs",
        "set lock_configuration = false",
    ],
)
def test_snapshot_can_only_be_read(home: Home, sql: str) -> None:
    with open_current(home.loaded.home) as snapshot, pytest.raises(Exception, match="Error"):
        snapshot.query(sql)
    assert not Path("stolen.csv").exists()


def test_manifest_says_what_the_snapshot_holds(home: Home) -> None:
    with open_current(home.loaded.home) as snapshot:
        manifest = snapshot.manifest
        counted = {
            name: snapshot.query(f"select count(*) as n from marts.{name}")["n"].item() for name in manifest.rows
        }
    assert counted == manifest.rows
    assert manifest.watermark is not None
    assert manifest.watermark.utcoffset() == home.clock.now().utcoffset()
    assert manifest.published_at == home.clock.now()


def test_nothing_published_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingPublished, match=r"matokit run.*\.$"):
        current_file(tmp_path)
    with (
        pytest.raises(WarehouseError, match=r"matokit extract.*\.$"),
        Warehouse(tmp_path, FixedClock(TRUTH.end)).reader(),
    ):
        pass


def test_journal_left_by_a_file_that_was_moved_away_is_not_applied(home: Home) -> None:
    path = home.warehouse.path
    path.with_name(path.name + ".wal").write_bytes(b"left over")
    path.rename(path.with_name("aside.duckdb"))
    [result] = refresh.extract(home)
    assert result.error is None
    assert result.inserted > 0
