"""A process between `up` and one of its children, so that nothing stays behind when `up` is killed.

Started as `python -m matokit_pipelines.cli.keeper COMMAND ...` at the head of a process group of its own. Its standard
input is a pipe that only `up` holds open: when that ends, `up` is gone, and the keeper ends the whole group, the
child's own children included. The pipe serves on every POSIX system; PR_SET_PDEATHSIG would on Linux, and for direct
children only. Nothing but the standard library is loaded, as there is one keeper a child. Not here: when a child is
started again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from types import FrameType

GRACE_SECONDS = 5.0  # for a child to end in order after `up` was killed
KILLED_BASE = 128  # exit codes above it say by which signal the child ended, as in a shell


def keep(command: list[str]) -> int:
    """Run `command` to its end and give its exit code; 128 + n for signal n."""
    # A handler, not SIG_IGN, which the child would inherit: signals to the group are for the child.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave_to_child)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - what `up` gave
    alone = threading.Event()
    watcher = threading.Thread(target=_watch, args=(child, alone), daemon=True)
    watcher.start()
    code = child.wait()
    if alone.is_set():
        watcher.join()
    return code if code >= 0 else KILLED_BASE - code


def _leave_to_child(number: int, frame: FrameType | None) -> None:
    """The child got the same signal; the keeper ends after it."""


def _watch(child: subprocess.Popen[bytes], alone: threading.Event) -> None:
    """Wait for the end of standard input, then end the group, this process included."""
    with suppress(OSError):
        while os.read(0, 1024):
            continue
    alone.set()
    os.killpg(0, signal.SIGTERM)
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
