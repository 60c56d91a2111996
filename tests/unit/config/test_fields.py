"""What is read off the models of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from ray_downloader.config.fields import choices_of, field_of, group_of, grouped_keys, keys_named, kinds_of


class Inner(BaseModel):
    size: int = 1
    kind: Literal["a", "b"] | None = None
    kinds: tuple[Literal["x", "y"], ...] = ()


class Middle(BaseModel):
    inner: Inner = Inner()
    size: str = ""


class Outer(BaseModel):
    group: Inner = Inner()
    middle: Middle = Middle()
    path: Path | None = None
    many: Literal[1, 2] | tuple[Literal[2, "c"], ...] = 1
    optional: Annotated[Optional[float], Field(gt=0)] = None  # noqa: UP045 (both spellings are understood)


def test_a_field_is_found_by_its_dotted_key() -> None:
    assert field_of("path", Outer) is Outer.model_fields["path"]
    assert field_of("group.size", Outer) is Inner.model_fields["size"]
    assert field_of("middle.inner.kind", Outer) is Inner.model_fields["kind"]


@pytest.mark.parametrize("key", ["", "nothing", "group.nothing", "path.size", "group.size.size", "group."])
def test_a_key_that_does_not_exist_has_none(key: str) -> None:
    assert field_of(key, Outer) is None


def test_a_group_has_a_model_and_a_value_has_none() -> None:
    assert group_of(Outer.model_fields["group"]) is Inner
    assert group_of(Outer.model_fields["path"]) is None
    assert group_of(None) is None


def test_keys_of_groups_are_found_by_their_last_part() -> None:
    assert list(grouped_keys(Outer)) == ["group.size", "group.kind", "group.kinds", "middle.inner", "middle.size"]
    assert keys_named("size", Outer) == ["group.size", "middle.size"]
    assert keys_named("path", Outer) == [], "it is in no group"


def test_the_kinds_of_a_value_are_those_it_may_have() -> None:
    assert set(kinds_of(Path | None)) == {Path, type(None)}
    assert set(kinds_of(Outer.model_fields["optional"].annotation)) == {float, type(None)}
    assert set(kinds_of(Annotated[int | Annotated[str, "x"], "y"])) == {int, str}
    assert list(kinds_of(None)) == []


@pytest.mark.parametrize(
    ("model", "name", "choices"),
    [
        (Inner, "kind", ["a", "b"]),
        (Inner, "kinds", ["x", "y"]),
        (Outer, "many", ["1", "2", "c"]),
        (Inner, "size", []),
        (Outer, "path", []),
    ],
)
def test_the_choices_of_a_value_are_those_it_lists_each_once(
    model: type[BaseModel], name: str, choices: list[str]
) -> None:
    assert choices_of(model.model_fields[name]) == choices
