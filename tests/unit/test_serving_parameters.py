"""Arguments as a model sends them: read leniently, refused in one sentence that says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from matokit_pipelines.toolserver import parameters
from matokit_pipelines.toolserver.opal import arguments_in
from matokit_pipelines.toolserver.parameters import Flag, Parameters, SiteId, Whole, choices, published_type, read
from matokit_pipelines.toolserver.problems import Problem


class Asked(Parameters):
    """What a tool might ask for."""

    siteId: Annotated[str | None, Field(description="The site.", json_schema_extra={"published": "integer"})] = None
    limit: Annotated[Whole, Field(description="Rows, 1 to 1000; 10 when left out.", ge=1, le=1000)] = 10
    details: Annotated[Flag, Field(description="More.")] = False
    revenue: Annotated[float | None, Field(description="Money.")] = None
    compare: Annotated[Literal["previous"] | None, Field(description="The span before.")] = None


class Needed(Parameters):
    url: Annotated[str, Field(description="An address.")]


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_optional_parameter_may_be_null_or_blank(nothing: Any) -> None:
    assert read(Asked, dict.fromkeys(Asked.model_fields, nothing)) == Asked()


def test_numbers_and_booleans_may_come_as_text() -> None:
    found = read(Asked, {"limit": "25", "details": "true", "revenue": "10.5", "chat_metadata": {"x": 1}})
    assert (found.limit, found.details, found.revenue) == (25, True, 10.5)
    assert read(Asked, {"details": "false"}).details is False
    assert read(Asked, {"limit": 25.0}).limit == 25


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"limit": 0}, "limit should be greater than or equal to 1."),
        ({"limit": "ten"}, "limit must be a whole number."),
        ({"limit": True}, "limit must be a whole number."),
        ({"limit": 1.5}, "limit must be a whole number."),
        ({"limit": [1]}, "limit must be a whole number."),
        ({"details": "yes"}, "details must be true or false."),
        ({"details": 1}, "details must be true or false."),
        ({"revenue": "much"}, "revenue must be a number."),
        ({"revenue": {}}, "revenue must be a number."),
        ({"compare": "next"}, "compare should be 'previous'."),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Problem) as caught:
        read(Asked, arguments)
    assert caught.value.message == sentence
    assert caught.value.status == 400
    assert next(iter(arguments)) in caught.value.guidance


def test_a_missing_one_is_named_as_the_predecessor_did() -> None:
    with pytest.raises(Problem, match=r"^url is required$"):
        read(Needed, {"url": ""})


def test_guidance_about_a_missing_one_is_about_that_one() -> None:
    with pytest.raises(Problem) as caught:
        read(Needed, {})
    assert caught.value.guidance == "Give url and call again. url: An address."


class OfSite(Parameters):
    siteId: Annotated[SiteId | None, Field(description="The site.")] = None


@pytest.mark.parametrize("wrong", [2.5, True, [2], "  ", {}])
def test_what_is_no_site_is_said_so(wrong: Any) -> None:
    with pytest.raises(Problem, match=r"^siteId must be a whole number or the name of a site\.$"):
        read(OfSite, {"siteId": wrong})


@pytest.mark.parametrize("right", [2, 2.0, "2", " 2 "])
def test_a_site_is_a_number_or_a_name(right: Any) -> None:
    assert read(OfSite, {"siteId": right}).siteId == "2"
    assert read(OfSite, {"siteId": ""}).siteId is None


def test_types_are_published_in_six_words() -> None:
    published = {name: published_type(field) for name, field in Asked.model_fields.items()}
    assert published == {
        "siteId": "integer", "limit": "integer", "details": "boolean", "revenue": "number", "compare": "string"
    }  # fmt: skip
    assert choices(Asked.model_fields["compare"]) == ("previous",)
    assert choices(Asked.model_fields["limit"]) is None


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        (b"", {}),
        (b"  \n", {}),
        (b"{}", {}),
        (b'{"parameters": null}', {}),
        (b'{"parameters": {"limit": 3}, "auth": {"provider": "x"}, "environment": {}}', {"limit": 3}),
        (b'{"limit": 3}', {"limit": 3}),
    ],
)
def test_bodies(body: bytes, arguments: dict[str, Any]) -> None:
    assert arguments_in(body) == arguments


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b'"x"', b"null", b"{", b"\xff\xfe", b'{"parameters": []}', b"NaN", b"[" * 99_999]
)
def test_other_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        arguments_in(body)
    assert caught.value.status == 400
    assert '{"parameters": {...}}' in caught.value.guidance


KEYS = st.sampled_from([*Asked.model_fields, "parameters", "x"])
PLAIN = st.none() | st.booleans() | st.floats() | st.text() | st.integers()
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))


@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    problem = None
    try:
        found = read(Asked, arguments_in(body))
    except Problem as error:
        problem, found = error, Asked()
    assert problem is None or (problem.status, bool(problem.message), bool(problem.guidance)) == (400, True, True)
    assert 1 <= found.limit <= 1000


class Spanned(Parameters):
    """Of which it matters whether `days` was given."""

    given_or_not: ClassVar[frozenset[str]] = frozenset({"days"})
    days: Annotated[Whole, Field(description="Days.")] = 7
    limit: Annotated[Whole, Field(description="Rows.")] = 10


def test_calls_of_one_meaning_share_an_answer_and_others_do_not() -> None:
    assert read(Asked, {}).meaning == read(Asked, {"limit": "10", "details": "false", "compare": None}).meaning
    assert read(Asked, {}).meaning != read(Asked, {"limit": 11}).meaning
    assert read(Spanned, {}).meaning == read(Spanned, {"limit": 10}).meaning
    assert read(Spanned, {}).meaning != read(Spanned, {"days": 7}).meaning


def test_a_tool_that_asks_what_was_given_says_so() -> None:
    """Otherwise the cache would give the answer to one question for another."""
    package = Path(parameters.__file__).parent
    asking = [file for file in package.rglob("*.py") if "model_fields_set" in file.read_text(encoding="utf-8")]
    for file in asking:
        named = set(re.findall(r'"(\w+)" (?:not )?in asked\.model_fields_set', file.read_text(encoding="utf-8")))
        if file.name != "parameters.py":
            assert named
            assert all(re.search(rf'given_or_not: .*"{name}"', file.read_text(encoding="utf-8")) for name in named)
