"""Pages and charts beside what they were when somebody last looked at them and found them good.

After a wanted change: `MATOKIT_WRITE_GOLDEN=1 pytest -m slow tests/integration/test_golden_pages.py`, and read the
difference before it is committed. Not here: which pages and charts there are.
"""

from __future__ import annotations

import difflib
import io
import os
import re
from pathlib import Path

import vl_convert
from PIL import Image, ImageChops

FOLDER = Path(__file__).parent / "fixtures" / "golden"
# Of a channel of 255: what differs less is the same. The edges of letters may fall otherwise on another processor.
NOTICED = 64
# As a share of all pixels: more of them make it another picture.
ALLOWED = 0.002
_MADE = ("now", "published_at", "code_version", "rule_version", "generation", "alerts.evaluated_to")
_MARKED = re.compile(rf'<(\w+) data-path="({"|".join(map(re.escape, _MADE))})"[^>]*>.*?</\1>', re.DOTALL)
_DRAWN = re.compile(r"<(svg|script|style)\b[^>]*>.*?</\1>", re.DOTALL)
_INLINE = re.compile(r'"data:[^"]{40,}"')


def bare(html: str) -> str:
    """A page without times of making and versions, style, scripts and drawings: what it says and how it is built."""
    html = _DRAWN.sub(r"<\1>", html)
    html = _INLINE.sub('"data:…"', html)
    html = _MARKED.sub(r"<\1 \2>", html)
    return "\n".join(line.rstrip() for line in html.splitlines() if line.strip()) + "\n"


def assert_page(name: str, html: str) -> None:
    """The page is as it was."""
    file, found = FOLDER / f"{name}.html", bare(html)
    if os.environ.get("MATOKIT_WRITE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found, encoding="utf-8")
    known = file.read_text(encoding="utf-8")
    changes = list(difflib.unified_diff(known.splitlines(), found.splitlines(), file.name, "now", lineterm="", n=0))
    assert not changes, "\n".join(line[:300] for line in changes[:40])


def assert_chart(name: str, png: bytes) -> None:
    """The chart is as it was, but for a few pixels."""
    file, found = FOLDER / f"{name}.png", picture(png)
    if os.environ.get("MATOKIT_WRITE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        found.quantize(128, dither=Image.Dither.NONE).save(file, optimize=True)
    known = picture(file.read_bytes())
    assert found.size == known.size, name
    share = differing(found, known) / (found.width * found.height)
    assert share <= ALLOWED, f"{name}: {100 * share:.2f} % of the pixels differ from {file}"


def picture(png: bytes) -> Image.Image:
    """A PNG on white, as RGB."""
    drawn = Image.open(io.BytesIO(png)).convert("RGBA")
    ground = Image.new("RGBA", drawn.size, "white")
    return Image.alpha_composite(ground, drawn).convert("RGB")


def differing(one: Image.Image, other: Image.Image) -> int:
    """How many pixels differ so that an eye would see it."""
    red, green, blue = ImageChops.difference(one, other).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return sum(most.histogram()[NOTICED:])


LETTERS = re.compile(r"<text\b[^>]*>([^<]*)</text>")


def letters(spec: str, png: bytes, scale: float, vega_lite: str) -> tuple[int, int]:
    """`(texts, pixels)` of a chart drawn as `png`: how many texts it has, and how many pixels they make up.

    A list of fonts of which none is there gives a chart without a letter, and no error.
    """
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=vega_lite, allowed_base_urls=[])
    silent = vl_convert.svg_to_png(LETTERS.sub("", drawn), scale=scale)
    texts = [text for text in LETTERS.findall(drawn) if text.strip()]
    return len(texts), differing(picture(png), picture(silent))
