"""The command itself: global options, the list of commands, and what a person sees when something fails.

Not here: what a command does.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType

import typer

from matokit_pipelines import __version__
from matokit_pipelines.cli import (
    alerts_backtest,
    alerts_evaluating,
    alerts_listing,
    alerts_test,
    alerts_why,
    asking,
    check_registry,
    demo,
    health,
    linting,
    outbox,
    pipeline,
    reporting,
    send_test,
    serving,
    setting_up,
    silencing,
    simulating,
    status,
    tracking,
    tracking_queue,
    trying,
    up,
)
from matokit_pipelines.cli.frame import Frame, quiet_pipe
from matokit_pipelines.errors import DEFECT, FINE, REFUSED, USAGE, MatokitError

INTERRUPTED = 130  # what shells give for Ctrl-C

STOPPED = "Stopped; what was landed so far is kept."

app = typer.Typer(
    name="matokit",
    help="Whether the software you hand out installs: events read from Piwik PRO or Matomo, derived, checked, shown.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
alert = typer.Typer(
    help="What is watched: what fires, why, and how it would have been.", no_args_is_help=True, rich_markup_mode=None
)
report = typer.Typer(help="Render a report.", no_args_is_help=True, rich_markup_mode=None)
simulate = typer.Typer(help="Run a simulated service in the foreground.", no_args_is_help=True, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"matokit {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    config: Path | None = typer.Option(None, help="Settings file, instead of ./matokit.toml."),
    debug: bool = typer.Option(False, help="Add the traceback to an error."),
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    context.obj = Frame(config=config, debug=debug)


app.command("demo")(demo.demo)
app.command("try")(trying.try_source)
app.command("init")(setting_up.init)
app.command("doctor")(setting_up.doctor)
app.command("status")(status.status)
app.command("extract")(pipeline.extract)
app.command("build")(pipeline.build)
app.command("run")(pipeline.run)
app.command("up")(up.up)
app.command("serve")(serving.serve)
app.command("check-registry")(check_registry.check_registry)
app.command("health")(health.health)
app.command("query")(asking.query)
app.command("explain")(asking.explain)
app.command("lint-events")(linting.lint_events)
app.command("track")(tracking.track)
app.command("send-test")(send_test.send_test)
alert.command("list")(alerts_listing.list_)
alert.command("history")(alerts_listing.history)
alert.command("why")(alerts_why.why)
alert.command("evaluate")(alerts_evaluating.evaluate)
alert.command("backtest")(alerts_backtest.backtest)
alert.command("test")(alerts_test.check_cases)
alert.command("silence")(silencing.silence)
alert.command("unsilence")(silencing.unsilence)
app.add_typer(alert, name="alerts")
app.add_typer(outbox.app, name="outbox")
app.add_typer(tracking_queue.app, name="tracking")
report.command("weekly")(reporting.weekly)
report.command("daily")(reporting.daily)
report.command("monthly")(reporting.monthly)
app.command("dashboards")(reporting.dashboards)
app.add_typer(report, name="report")
simulate.command("matomo")(simulating.matomo)
simulate.command("piwik-pro")(simulating.piwik_pro)
app.add_typer(simulate, name="simulate")


def main(arguments: list[str] | None = None) -> None:
    """Run the command and leave with its exit code; see errors.py for the codes."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command and give its exit code; every error is one sentence on stderr."""
    debug = "--debug" in arguments
    presses = _count_interrupts()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without UTF-8 gets a ? for what it cannot show
            stream.reconfigure(errors="replace")
    try:
        result = app(arguments, standalone_mode=False)
        sys.stdout.flush()
        code = result if isinstance(result, int) else FINE
        if code == INTERRUPTED:
            typer.echo(STOPPED, err=True)
        return code
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        typer.echo(STOPPED, err=True)
        return INTERRUPTED
    except BrokenPipeError:
        quiet_pipe()
        return FINE
    except MatokitError as error:
        _tell(str(error), debug)
        return error.exit_code
    except OSError as error:
        _tell(f"The operating system refused ({error.strerror or error}: {error.filename or 'no file'}).", debug)
        return REFUSED
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # what the command line itself says of its usage
            error.show()
            return USAGE
        if presses:  # a Ctrl-C that met the database at work comes out as an error of its own
            typer.echo(STOPPED, err=True)
            return INTERRUPTED
        _tell(
            f"This is a defect of matokit ({type(error).__name__}: {error}); run again with --debug and report it.",
            debug,
        )
        return DEFECT


def _count_interrupts() -> list[int]:
    """A list that grows with each Ctrl-C, which goes on to interrupt as usual."""
    presses: list[int] = []

    def press(number: int, frame: FrameType | None) -> None:
        presses.append(number)
        signal.default_int_handler(number, frame)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, press)
    return presses


def _tell(sentence: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    typer.echo(sentence, err=True)


if __name__ == "__main__":
    main()
