"""How `up` keeps processes: started again with growing pauses, ended in order, none left behind. No Dagster here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines import resources
from matokit_pipelines.cli import supervising, up
from matokit_pipelines.cli.supervising import Child, Patience, Supervisor
from matokit_pipelines.errors import REFUSED, USAGE, ServicesError, SettingsError
from matokit_pipelines.settings import load

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
QUICK = Patience(first=0.1, longest=0.4, good=300, ending=3)
# Writes its process number into the file named first, and that of a child of its own which no SIGTERM moves.
FAMILY = """
import os, signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(120)"
own = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
own.stdout.readline()
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {own.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(120)
"""
ALONE = """
import asyncio, os, sys
from pathlib import Path
from matokit_pipelines.cli.supervising import Child, Supervisor
folder = Path(sys.argv[1])
command = (sys.executable, "-c", (folder / "family.py").read_text(), str(folder / "pids"))
child = Child(name="family", title="The family", command=command, ready="ready", says_when_ready="never")
asyncio.run(Supervisor([child], logs=folder / "logs", environ=os.environ, say=print).run())
"""


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", code, *arguments)


def child(name: str, code: str, *arguments: str, **more: Any) -> Child:
    return Child(name=name, title=f"The {name}", command=python(code, *arguments), ready=f"{name} is ready", **more)


def supervise(
    folder: Path, children: list[Child], *, until: Callable[[list[str]], bool], patience: Patience = QUICK, **more: Any
) -> list[str]:
    """Run a supervisor in this process until its lines say so, at most 20 s; then SIGTERM. All it said."""
    said: list[str] = []

    async def go() -> None:
        environ = os.environ | {"PYTHONPATH": str(ROOT)}
        supervisor = Supervisor(
            children, logs=folder / "logs", environ=environ, say=said.append, patience=patience, **more
        )
        running = asyncio.create_task(supervisor.run())
        end = time.monotonic() + 20
        while not until(said) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == signal.SIGTERM

    asyncio.run(go())
    assert until(said), said
    return said


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_for(what: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (done := what()) and time.monotonic() < end:
        time.sleep(0.05)
    return done


@given(st.lists(st.floats(min_value=0, max_value=1_000), max_size=30))
def test_pauses_double_up_to_a_minute_and_begin_anew_after_a_good_while(lasted: list[float]) -> None:
    patience, pause, expected = Patience(), 0.0, 0.0
    for seconds in lasted:
        expected = 1.0 if seconds >= 300 or not expected else min(60.0, expected * 2)
        pause = patience.after(pause, seconds)
        assert pause == expected


def test_what_ends_is_started_again_with_growing_pauses_and_one_line_each(tmp_path: Path) -> None:
    short = child("short", "print('worked')\nraise SystemExit(7)", says_when_ready="worked")
    said = supervise(tmp_path, [short], until=lambda lines: sum("started again" in line for line in lines) >= 4)
    again = [line for line in said if "started again" in line]
    pauses = [line.split("started again in ")[1].split(" s")[0] for line in again]
    assert pauses[:4] == ["0.1", "0.2", "0.4", "0.4"]
    assert again[0].startswith("The short ended by itself (exit code 7)")
    assert again[0].endswith(str(tmp_path / "logs" / "short.log"))
    assert said[0] == "short is ready"
    assert (tmp_path / "logs" / "short.log").read_text().count("worked") >= 4


def test_the_others_wait_for_the_first_and_end_before_it(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = """
import signal, sys, time
def leave(number, frame):
    open(sys.argv[1], "a").write(f"-{sys.argv[2]} ")
    sys.exit()
signal.signal(signal.SIGTERM, leave)
time.sleep(float(sys.argv[3]))
open(sys.argv[1], "a").write(f"+{sys.argv[2]} ")
print("go", flush=True)
time.sleep(60)
"""
    children = [
        child("one", code, str(order), "one", "0.5", says_when_ready="go"),
        child("two", code, str(order), "two", "0", says_when_ready="go"),
        child("three", code, str(order), "three", "0.3", says_when_ready="go"),
    ]
    supervise(tmp_path, children, until=lambda lines: len(lines) == 3)
    assert order.read_text().split() == ["+one", "+two", "+three", "-three", "-two", "-one"]


def test_a_preparation_comes_before_each_further_start_and_its_last_line_tells_why_not(tmp_path: Path) -> None:
    again = python("import sys; print('a traceback'); sys.exit('The disk is full.')")
    short = child("short", "print('started')", before_again=again)
    said = supervise(tmp_path, [short], until=lambda lines: len(lines) >= 2)
    assert said[1].startswith("The short could not be prepared: The disk is full.; started again in 0.2 s")
    assert (tmp_path / "logs" / "short.log").read_text().count("started") == 1


def test_what_does_not_end_in_time_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    begun = time.monotonic()
    supervise(tmp_path, [child("family", FAMILY, str(pids))], until=lambda lines: pids.exists())
    assert time.monotonic() - begun < 15
    assert wait_for(lambda: not any(is_there(int(pid)) for pid in pids.read_text().split()), 5)


def test_when_the_system_starts_no_process_it_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "_KEEPER", (str(tmp_path / "no such program"),))
    said = supervise(tmp_path, [child("short", "print()")], until=lambda lines: len(lines) >= 2)
    assert said[0].startswith("The short could not be started (No such file or directory); started again in 0.1 s")


@pytest.mark.parametrize("victim", ["child", "keeper"])
def test_killed_it_takes_with_it_what_it_started_and_comes_back(tmp_path: Path, victim: str) -> None:
    pids = tmp_path / "pids"
    families: list[list[int]] = []

    def second_family(lines: list[str]) -> bool:
        if pids.exists() and len(families) < 2:
            families.append([int(pid) for pid in pids.read_text().split()])
            pids.unlink()
            if len(families) == 1:
                head = os.getpgid(families[0][0])
                assert head != families[0][0]
                os.kill(families[0][0] if victim == "child" else head, signal.SIGKILL)
        return len(families) == 2

    said = supervise(tmp_path, [child("family", FAMILY, str(pids))], until=second_family)
    assert said[0].startswith("The family was ended by SIGKILL; started again")
    assert wait_for(lambda: not any(is_there(pid) for family in families for pid in family), 5)


def test_killed_itself_it_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "family.py").write_text(FAMILY)
    above = subprocess.Popen(python(ALONE, str(tmp_path)), env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        assert wait_for((tmp_path / "pids").exists, 20)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert all(is_there(pid) for pid in pids)
    finally:
        above.kill()
        above.wait()
    assert wait_for(lambda: not any(is_there(pid) for pid in pids), 12)


def test_logs_hold_no_secret_and_no_colour_and_do_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "LOG_BYTES", 2_000)
    monkeypatch.setattr(supervising, "LONGEST_LINE", 50_000)
    code = """
print("\\x1b[32mtoken=s3cr3t\\x1b[0m end")
print("x" * 200_000)
for number in range(1_000):
    print("line", number)
print("done")
import time; time.sleep(60)
"""
    talker = child("talker", code, says_when_ready="done")
    supervise(tmp_path, [talker], until=lambda lines: bool(lines), secrets=["s3cr3t", ""])
    files = sorted((tmp_path / "logs").iterdir())
    assert [file.name for file in files] == ["talker.log", "talker.log.1", "talker.log.2", "talker.log.3"]
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert (tmp_path / "logs" / "talker.log").read_text().endswith("line 999\ndone\n")


def test_a_log_line_has_no_secret(tmp_path: Path) -> None:
    talker = child("talker", "print('\\x1b[32mtoken=s3cr3t\\x1b[0m end')\nimport time; time.sleep(60)",
                   says_when_ready="end")  # fmt: skip
    supervise(tmp_path, [talker], until=lambda lines: bool(lines), secrets=["s3cr3t", ""])
    assert (tmp_path / "logs" / "talker.log").read_text() == "token=*** end\n"


def test_a_second_up_of_a_home_is_refused_by_the_number_of_the_first(tmp_path: Path) -> None:
    with (
        up.only_one(tmp_path),
        pytest.raises(ServicesError, match=f"as process {os.getpid()}; end that one first"),
        up.only_one(tmp_path),
    ):
        pass
    with up.only_one(tmp_path):
        pass


def test_the_next_up_waits_for_what_a_killed_one_left_to_end(tmp_path: Path) -> None:
    gone = subprocess.Popen(python("pass"))
    gone.wait()
    keeper = "import fcntl, os, sys, time; fcntl.flock(int(sys.argv[1]), fcntl.LOCK_EX); print(); time.sleep(1.5)"
    with up.only_one(tmp_path):
        pass
    (tmp_path / "dagster" / "up.holder").write_text(json.dumps({"pid": gone.pid}))
    with (tmp_path / "dagster" / "up.lock").open() as lock:
        command = python(keeper, str(lock.fileno()))
        leftover = subprocess.Popen(command, pass_fds=(lock.fileno(),), stdout=subprocess.PIPE)
        assert leftover.stdout is not None
        leftover.stdout.readline()
    with closing(leftover.stdout):
        begun = time.monotonic()
        with up.only_one(tmp_path):
            assert 0.5 < time.monotonic() - begun < 10
        leftover.wait()


def test_a_port_in_use_is_one_sentence() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port} of 127.0.0.1 is in use; name another one with --port."):
            up.free_port("127.0.0.1", port)
    with pytest.raises(SettingsError, match=r"Nothing can listen on port 0 of 192\.0\.2\.1"):
        up.free_port("192.0.2.1", 0)


def test_the_location_has_the_name_it_always_had(tmp_path: Path) -> None:
    delivered = yaml.safe_load(resources.path("workspace.yaml").read_text(encoding="utf-8"))
    (tmp_path / "dagster").mkdir()
    written = yaml.safe_load(up.write_workspace(tmp_path, 4_000).read_text(encoding="utf-8"))
    server = written["load_from"][0]["grpc_server"]
    module = delivered["load_from"][0]["python_module"]
    assert server == {"host": "127.0.0.1", "port": 4_000, "location_name": module["location_name"]}
    assert module["module_name"] == up.DEFINITIONS


def test_children_get_the_home_and_settings_in_use(tmp_path: Path) -> None:
    (tmp_path / "matokit.toml").write_text("")
    environ = up.environment(load(cwd=tmp_path, environ={}))
    assert environ["MATOKIT_CONFIG"] == str(tmp_path / "matokit.toml")
    assert environ["MATOKIT_HOME"] == str(tmp_path / ".matokit")
    assert environ["DAGSTER_HOME"] == str(tmp_path / ".matokit" / "dagster")
    assert environ["DAGSTER_DISABLE_TELEMETRY"] == "1"


@pytest.fixture
def clean(tmp_path: Path) -> dict[str, str]:
    strange = ("MATOKIT_", "MATOMO_", "DAGSTER_")
    return {k: v for k, v in os.environ.items() if not k.startswith(strange)} | {"MATOKIT_HOME": str(tmp_path / "home")}


SOURCE = '[[sources]]\nname = "lab"\nkind = "matomo"\nurl = "http://127.0.0.1:9"\nsite_id = "1"\n'


@pytest.mark.parametrize(
    ("settings", "more", "dagster_yaml", "said", "code"),
    [
        ("", {}, None, "The settings name no source", USAGE),
        (SOURCE, {}, None, "MATOKIT_LAB_TOKEN", USAGE),
        (SOURCE, {"MATOKIT_LAB_TOKEN": "0" * 32}, "storage: [", "dagster.yaml is not valid", USAGE),
        (SOURCE, {"MATOKIT_LAB_TOKEN": "0" * 32}, "damaged storage", "cannot be used", REFUSED),
    ],
    ids=["no source", "no token", "bad settings of dagster", "damaged storage"],
)
def test_what_cannot_work_is_told_before_anything_is_started(
    tmp_path: Path, clean: dict[str, str], settings: str, more: dict[str, str], dagster_yaml: str | None, said: str,
    code: int,
) -> None:  # fmt: skip
    (tmp_path / "matokit.toml").write_text(settings)
    folder = tmp_path / "home" / "dagster"
    if dagster_yaml == "damaged storage":
        (folder / "history" / "runs").mkdir(parents=True)
        (folder / "history" / "runs.db").write_bytes(b"not a database" * 100)
        (folder / "history" / "runs" / "index.db").write_bytes(b"not a database" * 100)
    elif dagster_yaml:
        folder.mkdir(parents=True)
        (folder / "dagster.yaml").write_text(dagster_yaml)
    done = subprocess.run(
        [sys.executable, "-m", "matokit_pipelines.cli.main", "up", "--port", "0"], env=clean | more, cwd=tmp_path,
        timeout=60, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_when_nobody_reads_its_lines_all_is_ended(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def say(line: str) -> None:
        raise BrokenPipeError(line)

    async def go() -> None:
        code = FAMILY.removesuffix("time.sleep(120)\n") + "print('ready', flush=True)\ntime.sleep(120)\n"
        family = child("family", code, str(pids), says_when_ready="ready")
        environ = os.environ | {"PYTHONPATH": str(ROOT)}
        await Supervisor([family], logs=tmp_path, environ=environ, say=say, patience=QUICK).run()

    with pytest.raises(BrokenPipeError, match="family is ready"):
        asyncio.run(go())
    assert wait_for(lambda: not any(is_there(int(pid)) for pid in pids.read_text().split()), 5)
