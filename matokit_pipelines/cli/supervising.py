"""Keeping processes running: started, watched, started again with growing pauses, ended in order.

Pauses and limits are real time on the event loop's own clock: they are about processes of this machine, not about data.
Not here: which processes, and with what (up.py), nor what happens when `up` itself is killed (keeper.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

from matokit_pipelines.cli.keeper import KILLED_BASE

LONGEST_LINE = 1 << 20  # bytes
LOG_BYTES, LOG_FILES = 5_000_000, 3
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_KEEPER = (sys.executable, "-m", "matokit_pipelines.cli.keeper")


@dataclass(frozen=True)
class Child:
    """One process to keep running. It is ready when `port` takes connections, or it has printed `says_when_ready`."""

    name: str  # of its log file
    title: str  # in a sentence, such as "The web page"
    command: tuple[str, ...]
    ready: str  # the line to print when it is ready
    port: tuple[str, int] | None = None
    says_when_ready: str | None = None
    before_again: tuple[str, ...] | None = None  # a command that must succeed before each start but the first


@dataclass(frozen=True)
class Patience:
    """Seconds: before a child is started again (doubling), what counts as a good while, and for ending."""

    first: float = 1.0
    longest: float = 60.0
    good: float = 300.0
    ending: float = 15.0

    def after(self, pause: float, lasted: float) -> float:
        """The pause that follows `pause` when the child lasted so long; 0.0 stands for none so far."""
        return self.first if not pause or lasted >= self.good else min(self.longest, 2 * pause)


@dataclass
class _Heard:
    """What a process printed so far that matters."""

    awaited: str | None
    spoken: asyncio.Event = field(default_factory=asyncio.Event)
    last: str = ""


@dataclass
class _Running:
    process: asyncio.subprocess.Process
    output: asyncio.Task[None]  # done when nobody in the group can write any more: the group is gone
    heard: _Heard

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self.process.pid, number)


class _Log(RotatingFileHandler):
    """A log rotated by size; a full disk loses lines and disturbs nobody."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True)

    def handleError(self, record: logging.LogRecord) -> None:
        return

    def line(self, text: str) -> None:
        self.handle(logging.makeLogRecord({"msg": text}))


class Supervisor:
    """Keeps `children` running until told to stop; the first one is ready before the others are started.

    `environ` is theirs, `inherited` a descriptor that their keepers hold open, `secrets` never reach a log, `say`
    prints one line for a person.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        logs: Path,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        secrets: Sequence[str] = (),
        inherited: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._children = children
        self._logs = logs
        self._environ = dict(environ)
        self._say = say
        self._secrets = [secret for secret in secrets if secret]
        self._inherited = () if inherited is None else (inherited,)
        self._patience = patience or Patience()
        self._running: dict[str, _Running] = {}
        self._stop = asyncio.Event()
        self._first_is_ready = asyncio.Event()

    async def run(self) -> int:
        """Keep them running until SIGINT, SIGTERM or SIGHUP, end them, and give the signal's number."""
        loop = asyncio.get_running_loop()
        received: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number, received)
        self._logs.mkdir(parents=True, exist_ok=True)
        keeping = [asyncio.create_task(self._keep(child)) for child in self._children]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([stopping, *keeping], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # an error of ours comes out here
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            await self._end_all()
        return received[0]

    def _on_signal(self, number: int, received: list[int]) -> None:
        """The first signal ends the children in order, a second one at once."""
        received.append(number)
        self._stop.set()
        if len(received) > 1:
            for running in self._running.values():
                running.signal(signal.SIGKILL)

    async def _keep(self, child: Child) -> None:
        log = _Log(self._logs / f"{child.name}.log")
        pause = 0.0
        if child is not self._children[0]:
            await self._first_is_ready.wait()
        while True:
            begun = asyncio.get_running_loop().time()
            try:
                reason = await self._once(child, log, again=bool(pause))
            except BrokenPipeError:  # of our own lines
                raise
            except OSError as error:  # such as no memory or no process number left
                reason = f"could not be started ({error.strerror})"
            pause = self._patience.after(pause, asyncio.get_running_loop().time() - begun)
            self._say(f"{child.title} {reason}; started again in {pause:g} s. Its output: {log.baseFilename}")
            await asyncio.sleep(pause)

    async def _once(self, child: Child, log: _Log, *, again: bool) -> str:
        """Run a child to its end; how it ended."""
        if child.before_again and again:
            before = await self._start(child.name, child.before_again, log)
            if code := await self._ended(child.name, before):
                return f"could not be prepared: {before.heard.last or _ending(code)}"
        running = await self._start(child.name, child.command, log, child.says_when_ready)
        ended = asyncio.create_task(self._ended(child.name, running))
        told = asyncio.create_task(self._tell_when_ready(child, running))
        try:
            await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                told.result()  # nobody reads what we say any more
            return _ending(await ended)
        finally:
            ended.cancel()
            told.cancel()

    async def _start(self, name: str, command: Sequence[str], log: _Log, awaited: str | None = None) -> _Running:
        # A pipe of our own: that of asyncio lets wait() return only when nobody holds it open any more.
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *_KEEPER, *command, env=self._environ, start_new_session=True, pass_fds=self._inherited,
                stdin=asyncio.subprocess.PIPE, stdout=writing, stderr=writing,
            )  # fmt: skip
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        heard = _Heard(awaited)
        running = _Running(process, asyncio.create_task(self._copy(reading, log, heard)), heard)
        self._running[name] = running
        return running

    async def _ended(self, name: str, running: _Running) -> int:
        """The exit code, once nothing is left of the group: what a dead child started nobody watches any more."""
        code = await running.process.wait()
        running.signal(signal.SIGKILL)
        await asyncio.wait([running.output], timeout=self._patience.ending)
        del self._running[name]
        return code

    async def _copy(self, descriptor: int, log: _Log, heard: _Heard) -> None:
        """Output into the log, line by line, without secrets and colours."""
        output = asyncio.StreamReader(limit=LONGEST_LINE)
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(output), pipe)
        while True:
            try:
                raw = await output.readline()
            except ValueError:
                log.line(f"(a line of over {LONGEST_LINE:,} bytes was left out)")
                continue
            if not raw:
                break
            text = _COLOUR.sub("", raw.decode("utf-8", "replace").rstrip("\n"))
            for secret in self._secrets:
                text = text.replace(secret, "***")
            log.line(text)
            heard.last = text.strip() or heard.last
            if heard.awaited is not None and heard.awaited in text:
                heard.spoken.set()
        log.close()

    async def _tell_when_ready(self, child: Child, running: _Running) -> None:
        if child.port is None:
            await running.heard.spoken.wait()
        else:
            while not await _takes_connections(*child.port):
                await asyncio.sleep(0.2)
        if child is self._children[0]:
            self._first_is_ready.set()
        self._say(child.ready)

    async def _end_all(self) -> None:
        """SIGTERM to one group after the other, the first started last; SIGKILL to what is there at the end."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience.ending
        left = [self._running[child.name] for child in reversed(self._children) if child.name in self._running]
        for place, running in enumerate(left):
            running.signal(signal.SIGTERM)
            share = (end - loop.time()) / (len(left) - place)
            await asyncio.wait([running.output], timeout=share)
        for running in left:
            if not running.output.done():
                running.signal(signal.SIGKILL)
        for running in left:
            await running.process.wait()
        if left:
            await asyncio.wait([running.output for running in left], timeout=1)


def _ending(code: int) -> str:
    """How a process ended, in words."""
    number = code - KILLED_BASE if code > KILLED_BASE else -code
    if code < 0 or code > KILLED_BASE:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(number).name}"
    return f"ended by itself (exit code {code})"


async def _takes_connections(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout=2)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
