"""Text from outside made harmless for the place it is shown in. Tracking endpoints are public: anybody can send a name.

Characters that steer instead of showing (controls, marks that turn the writing direction) become the replacement
character, so that a reader sees that something was there. Not here: HTML, which the templates escape by themselves.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME, LONGEST_HEADER = 80, 200
_REPLACED = "\N{REPLACEMENT CHARACTER}"
# categories whose characters show nothing: controls, formats (direction marks, zero width), surrogates, private use
_STEERING = frozenset({"Cc", "Cf", "Cs", "Co"})
# what joins letters and emoji in ordinary writing
_JOINERS = frozenset({"\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"})
_SPACES = re.compile(r"\s+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
            "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
_CALLS = re.compile(r"@(?=\w)|<(?=[!@#&a-zA-Z/])")


def plain(text: str) -> str:
    """Text of several lines without anything that steers a terminal, a mail reader or the direction of writing.

    Every kind of line break becomes a newline, a tab a space.
    """
    if text.isprintable():  # nothing of all this is in it, and most names are so
        return text
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    lines = lines.replace("\N{LINE SEPARATOR}", "\n").replace("\N{PARAGRAPH SEPARATOR}", "\n").replace("\x85", "\n")
    return "".join(letter if letter == "\n" or _shows(letter) else _REPLACED for letter in lines)


def one_line(text: str) -> str:
    """The same on one line: every run of spaces and line breaks is one space. Fit for a header or a table's cell."""
    return _SPACES.sub(" ", plain(text)).strip()


def header(text: str, most: int = LONGEST_HEADER) -> str:
    """One line for a header of a mail. `=?` begins an encoded word, which may hold line breaks: it is kept apart."""
    return cut(one_line(text), most).replace("=?", "=\N{WORD JOINER}?")


def cut(text: str, most: int = LONGEST_NAME) -> str:
    """At most `most` characters; what is cut ends in an ellipsis."""
    if most < 1:
        raise ValueError("a text is cut to one character at least")
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def slack_text(text: str) -> str:
    """Text for Slack, shown as it is: `&`, `<` and `>` are all that begins a link or calls a person.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def uncalled(text: str) -> str:
    """Text for a service whose markup is not known: what calls people there (`@all`, `<!channel>`) calls nobody.

    An invisible character after the sign keeps it from being read as a call; a person sees no difference.
    """
    return _CALLS.sub(lambda found: found[0] + "\N{WORD JOINER}", plain(text))


def csv_cell(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula: one that begins like one gets a leading quote."""
    return "'" + text if text.lstrip(" ").startswith(_FORMULA) else text


def _shows(letter: str) -> bool:
    return letter in _JOINERS or unicodedata.category(letter) not in _STEERING
