"""Announcements as messages: mail in HTML and text, Slack's blocks, and the timeline as a picture.

Templates are `report_templates/alerts/`; one pair a rule while it fires, one for each later occasion. What a template
names and the story lacks is an error, never a blank. Not here: what is said (stories.py, digests.py), sending.
"""

from __future__ import annotations

from functools import lru_cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from matokit_pipelines import resources
from matokit_pipelines.alerts.announcements import Announcement
from matokit_pipelines.alerts.content import charts, stories, texts
from matokit_pipelines.alerts.content.blocks import blocks_of
from matokit_pipelines.alerts.content.digests import digest
from matokit_pipelines.alerts.content.evidence import NOTHING, Evidence
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.scopes import moment_of, scope_key
from matokit_pipelines.alerts.content.story_shapes import Story
from matokit_pipelines.delivery.escaping import cut, one_line
from matokit_pipelines.delivery.messages import Image, Message

SUBJECT = 180
_WITH_PICTURE = frozenset({"firing", "confirmed", "reminder", "resolved", "past"})
_OF_THE_RULE = frozenset({"firing", "confirmed"})


def compose(announcement: Announcement, evidence: Evidence = NOTHING, links: Links | None = None) -> Message:
    """The message that tells `announcement`. The same input gives the same message.

    Without `links` there are no addresses, default thresholds and UTC.
    """
    known = links or Links.without_settings()
    story = story_of(announcement, evidence, known)
    picture = _picture(announcement, evidence, known)
    template = story.rule if announcement.kind in _OF_THE_RULE else announcement.kind
    context = {"story": story, "picture": picture, "rule": story.rule_settings}
    html = _environment().get_template(f"{template}.html.j2").render(context).replace(" %", "\N{NO-BREAK SPACE}%")
    text = _environment().get_template(f"{template}.txt.j2").render(context)
    return Message(
        subject=cut(one_line(story.subject), SUBJECT),
        text=text,
        html=html,
        blocks=blocks_of(story),
        images=(picture,) if picture else (),
        broadcast=announcement.kind == "reminder",
    )


def story_of(announcement: Announcement, evidence: Evidence, links: Links) -> Story:
    """What the message says, before it is written. ValueError for an announcement without an episode."""
    if not announcement.episodes:
        raise ValueError("an announcement tells of one episode at least")
    if announcement.kind == "digest":
        return digest(announcement, evidence, links)
    return stories.BUILDERS[announcement.kind](announcement, evidence, links)


def _picture(announcement: Announcement, evidence: Evidence, links: Links) -> Image | None:
    if announcement.kind not in _WITH_PICTURE:
        return None
    first = announcement.episodes[0]
    facts = evidence.facts.get(scope_key(announcement, first))
    if not facts or not facts.slots:
        return None
    begin = moment_of(first.worst, "since") if first.rule == "no_events" else first.began_at
    return charts.timeline(facts, begin or first.started_at, links.zone)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(resources.path("report_templates") / "alerts"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["wrapped"] = texts.wrapped
    made.filters["table_text"] = texts.table_text
    made.filters["facts_text"] = texts.facts_text
    return made
