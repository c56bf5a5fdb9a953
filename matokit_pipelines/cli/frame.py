"""What all commands share: settings, clock, output as tables or JSON, progress, errors as one sentence.

Not here: any command.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from matokit_pipelines.settings import Loaded
    from matokit_pipelines.warehouse.refresh import Home

WIDEST = 10_000  # characters; a pipe has no width
AsJson = typer.Option(False, "--json", help="Print one array of objects instead of text.")


@dataclass
class Frame:
    """What the global options say. Results go to `out`, progress and errors to `err`."""

    config: Path | None = None
    debug: bool = False
    out: Console = field(default_factory=lambda: Console(highlight=False, emoji=False, soft_wrap=True))
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, emoji=False, soft_wrap=True))

    def loaded(self) -> Loaded:
        """The settings; SettingsError when they, the `.env` beside them or the home cannot be used."""
        from matokit_pipelines import settings
        from matokit_pipelines.errors import SettingsError

        try:
            loaded = settings.load(self.config)
        except UnicodeDecodeError as error:  # a settings file has a sentence of its own for that
            raise SettingsError("The .env beside the settings is not UTF-8 text; save it as UTF-8.") from error
        there = next(path for path in (loaded.home, *loaded.home.parents) if path.exists())
        if not there.is_dir():
            raise SettingsError(
                f"The home {loaded.home} cannot be a folder, because {there} is a file; name another place in "
                "MATOKIT_HOME."
            )
        return loaded

    def home(self) -> Home:
        """Settings, clock and warehouse of the home in use."""
        from matokit_pipelines.clock import SystemClock
        from matokit_pipelines.warehouse.refresh import Home

        return Home.of(self.loaded(), SystemClock())

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[str, int, int], None]]:
        """A bar on stderr while a person looks on; silent elsewhere."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        shown = self.err.is_terminal
        with Progress(*columns, console=self.err, transient=True, disable=not shown) as bar:
            task = bar.add_task(what, total=None)

            def step(label: str, done: int, total: int) -> None:
                bar.update(task, description=f"{what} {label}".rstrip(), completed=done, total=total)

            yield step

    @contextmanager
    def only_json(self, wanted: bool) -> Iterator[None]:
        """Keep what others print meanwhile, messages to the console above all, out of the JSON: it goes to stderr."""
        with redirect_stdout(sys.stderr) if wanted else nullcontext():
            yield

    def say(self, text: str = "") -> None:
        """A line of result. `text` is printed as it is: square brackets are no mark-up."""
        self.out.print(text, markup=False)

    def rows(self, rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str = "Nothing.") -> None:
        """Rows as a table, or as one JSON array."""
        if as_json:
            sys.stdout.write(
                json.dumps(said_in_json(rows), default=plain, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
            )
            return
        if not rows:
            self.say(empty)
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name, value in rows[0].items():
            table.add_column(name, justify="right" if is_number(value) else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(text_of(value) for value in row.values()))
        wide = Console(file=sys.stdout, width=WIDEST, highlight=False, emoji=False)
        if self.out.is_terminal and wide.measure(table).maximum > self.out.width:
            self._records(rows)
        else:
            (self.out if self.out.is_terminal else wide).print(table)

    def _records(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows too wide for the terminal, one below the other."""
        longest = max(len(name) for name in rows[0])
        for number, row in enumerate(rows, 1):
            self.out.print(f"[bold]row {number}[/bold]")
            for name, value in row.items():
                self.out.print(f"  {name:<{longest}}  {text_of(value)}")


def frame_of(context: typer.Context) -> Frame:
    """The frame that the main command made."""
    found = context.obj
    if not isinstance(found, Frame):
        raise TypeError("the command was started without its frame")
    return found


def is_number(value: Any) -> bool:
    """Whether a value stands better at the right."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def text_of(value: Any) -> str:
    """A value as a person reads it: UTC to the second, counts with separators, an em dash for null."""
    from rich.markup import escape

    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S") if value.tzinfo is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return escape(str(value))


def shortened(text: str, longest: int = 40) -> str:
    """Text from elsewhere on one line of at most `longest` characters, an ellipsis for what is left out."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def moment_of(value: datetime | None, now: datetime) -> str:
    """An instant in UTC and how long ago it was; "nothing" for none."""
    if value is None:
        return "nothing"
    minutes = max(0, round((now - value).total_seconds() / 60))
    ago = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({ago} ago)"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 event", "2,000 events"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def bytes_of(number: int) -> str:
    """An amount of data: kB below a megabyte."""
    if (kilobytes := math.ceil(number / 1e3)) < 1_000:
        return f"{kilobytes} kB"
    return f"{number / 1e6:.1f} MB" if number < 1e7 else f"{number / 1e6:,.0f} MB"


def plain(value: Any) -> Any:
    """What JSON has no form for."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def said_in_json(value: Any) -> Any:
    """`value` with null for NaN and the infinities, and names for the keys of maps, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name if isinstance(name, str) else str(plain(name)): said_in_json(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [said_in_json(one) for one in value]
    return value


def points_of(share: float | None) -> str:
    """A share as percent with one decimal, an em dash for null."""
    return "—" if share is None else f"{100 * share:.1f} %"


def day_range(first: str | None, last: str | None, today: date) -> tuple[date, date] | None:
    """`--from` and `--to`, both included; None when neither is given. SettingsError when they cross."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.windows import parse_day

    if first is None and last is None:
        return None
    if first is None:
        raise SettingsError("--to needs --from; give both days.")
    start, end = parse_day(first), parse_day(last) if last else today
    if end < start:
        raise SettingsError(f"--from {start} is after --to {end}; give them the other way round.")
    return start, end


def quiet_pipe() -> None:
    """Let `matokit … | head` end without a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
