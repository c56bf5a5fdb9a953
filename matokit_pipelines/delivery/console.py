"""Messages as plain lines on the standard output, for whoever watches a terminal or a log. Not here: colours."""

from __future__ import annotations

import sys
import threading

from matokit_pipelines.delivery.escaping import one_line, plain
from matokit_pipelines.delivery.transport import Delivered, Later, Outcome, Parcel, Plainly

_ONE_AT_A_TIME = threading.Lock()


class Console(Plainly):
    """The standard output of this process."""

    service = "console"

    def send(self, parcel: Parcel) -> Outcome:
        """Print subject and text; nothing in them steers the terminal."""
        text = plain(parcel.message.text).rstrip("\n")
        lines = [f"[{parcel.severity}] {one_line(parcel.message.subject)}", *(f"  {line}" for line in text.split("\n"))]
        shown = "\n".join(lines) + "\n"
        coding = sys.stdout.encoding or "utf-8"
        try:
            with _ONE_AT_A_TIME:
                sys.stdout.write(shown.encode(coding, "replace").decode(coding))
                sys.stdout.flush()
        except (OSError, ValueError):
            return Later("the standard output is closed", answered=False, is_down=True)
        return Delivered()
