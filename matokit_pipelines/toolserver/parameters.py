"""What every tool's parameters are: read leniently from what a model sends, refused in one sentence.

Optional parameters may be left out, null or "". Numbers may come as text, booleans as "true" and "false". Unknown keys
are ignored: the platform adds some. Not here: any tool's own parameters.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from matokit_pipelines.toolserver.problems import Problem, refused

Published = Literal["string", "integer", "number", "boolean", "array", "object"]
_PUBLISHED: dict[Any, Published] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_SPOKEN: dict[str, str] = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
}


def _true_or_false(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError("must be true or false")


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


def _number_or_name(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise ValueError("must be a whole number or the name of a site")
    return str(value).strip()


Flag = Annotated[bool, BeforeValidator(_true_or_false)]
Whole = Annotated[int, BeforeValidator(_no_boolean)]
SiteId = Annotated[str, BeforeValidator(_number_or_name)]


class Parameters(BaseModel):
    """Base of the parameters of a tool. Every field has a description, which the tool's readers see.

    A field whose published type differs from its Python type says so: `json_schema_extra={"published": "integer"}`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, str_max_length=2_000)
    # parameters of which it matters whether they were given, whatever their value
    given_or_not: ClassVar[frozenset[str]] = frozenset()

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What is asked once defaults are filled in: calls of one meaning have one answer."""
        given = self.model_fields_set & self.given_or_not
        return (*self.__dict__.values(), *sorted(given)) if given else tuple(self.__dict__.values())

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {key: value for key, value in values.items() if value is not None and value != ""}


_Any = TypeVar("_Any", bound=Parameters)


def read(model: type[_Any], arguments: Mapping[str, Any]) -> _Any:
    """The parameters in `arguments`; Problem 400 naming the first one that is wrong."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        raise _in_words(model, error) from None


def _in_words(model: type[Parameters], error: ValidationError) -> Problem:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "parameters"
    field = next((f for n, f in model.model_fields.items() if (f.alias or n) == name), None)
    about = f" {name}: {field.description}" if field and field.description else ""
    if first["type"] == "missing":
        return refused(f"{name} is required", f"Give {name} and call again.{about}")
    said = str(first["msg"]).removeprefix("Value error, ")
    said = _SPOKEN.get(first["type"], said[:1].lower() + said[1:])
    return refused(f"{name} {said.replace('input should', 'should')}.", f"Correct {name} and call again.{about}")


def published_type(field: FieldInfo) -> Published:
    """The type of a parameter in Opal's six words."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "published" in extra:
        return extra["published"]  # type: ignore[return-value]
    kind = _without_none(field.annotation)
    if get_origin(kind) is Literal:
        kind = type(get_args(kind)[0])
    if get_origin(kind) in (list, tuple):
        return "array"
    return _PUBLISHED.get(kind, "object")


def choices(field: FieldInfo) -> tuple[Any, ...] | None:
    """The values a parameter may have, when they are few and fixed."""
    kind = _without_none(field.annotation)
    return get_args(kind) if get_origin(kind) is Literal else None


def _without_none(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        left = [part for part in get_args(kind) if part is not type(None)]
        kind = left[0]
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
    return kind
