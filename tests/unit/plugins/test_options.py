"""Options: what a dataclass publishes, and what it takes from clients."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from karbor.model.errors import Invalid
from karbor.plugins.base import NoOptions
from karbor.plugins.options import option, parse, schema_of


@dataclass(frozen=True)
class Colours:
    """How to paint.

    More than one line is nobody's title.
    """

    name: str | None = option(None, title="Name", description="What it is called")
    mode: str = option("full", title="Mode", description="How much", enum=("full", "incremental"))
    quick: bool = option(False, title="Quick", description="Whether to hurry")
    coats: int = option(1, title="Coats", description="How many")
    litres: float = option(0.5, title="Litres", description="How much paint")
    poem: str = option("", title="Poem", description="Long text", max_length=1000)


def test_schema_is_flat_and_complete():
    schema = schema_of(Colours)
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == "How to paint"
    assert schema["required"] == []
    assert schema["properties"]["mode"] == {
        "type": "string",
        "title": "Mode",
        "description": "How much",
        "default": "full",
        "enum": ["full", "incremental"],
    }
    assert schema["properties"]["name"] == {
        "type": "string",
        "title": "Name",
        "description": "What it is called",
        "default": None,
        "maxLength": 255,
    }
    assert [schema["properties"][name]["type"] for name in ("quick", "coats", "litres")] == [
        "boolean",
        "integer",
        "number",
    ]


def test_nothing_given_is_the_defaults():
    assert parse(Colours, {}) == Colours()
    assert parse(NoOptions, {}) == NoOptions()


def test_null_is_the_same_as_not_given():
    assert parse(Colours, {"name": None, "mode": None, "quick": None}) == Colours()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"quick": "True"}, Colours(quick=True)),
        ({"quick": "False"}, Colours(quick=False)),
        ({"quick": " false "}, Colours(quick=False)),
        ({"coats": "3"}, Colours(coats=3)),
        ({"coats": "-3"}, Colours(coats=-3)),
        ({"litres": "2.5"}, Colours(litres=2.5)),
        ({"litres": 2}, Colours(litres=2)),
        ({"name": "3"}, Colours(name="3")),
        ({"name": "true", "poem": "x" * 1000}, Colours(name="true", poem="x" * 1000)),
    ],
)
def test_texts_that_can_only_mean_one_thing_are_understood(given, wanted):
    found = parse(Colours, given)
    assert found == wanted
    assert type(found.coats) is int
    assert type(found.quick) is bool


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mode": "fast"}, "the option mode cannot be 'fast'; allowed are: full, incremental"),
        ({"quick": "maybe"}, "the option quick has to be true or false, not 'maybe'"),
        ({"quick": 1}, "the option quick has to be true or false, not 1"),
        ({"coats": "3.5"}, "the option coats has to be a whole number, not '3.5'"),
        ({"coats": True}, "the option coats has to be a whole number, not True"),
        ({"litres": "much"}, "the option litres has to be a number, not 'much'"),
        ({"name": ["a"]}, "the option name has to be text, not ['a']"),
        ({"name": "x" * 256}, "the option name has 256 characters; 255 are allowed"),
        ({"colour": "red"}, "there is no option 'colour'; the options are: name, mode, quick, coats, litres, poem"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(given, sentence):
    with pytest.raises(Invalid) as caught:
        parse(Colours, given)
    assert str(caught.value) == sentence


def test_every_mistake_is_named_at_once():
    with pytest.raises(Invalid, match=r"no option .colour.; .*; the option coats .*; the option mode "):
        parse(Colours, {"mode": "fast", "coats": [], "colour": 1})


def test_an_operation_without_options_takes_none():
    with pytest.raises(Invalid, match="there is no option 'a'; the options are: none"):
        parse(NoOptions, {"a": 1})


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(Invalid) as caught:
        parse(Colours, {"mode": "x" * 10_000})
    assert len(str(caught.value)) < 200


@given(
    st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
    )
)
def test_any_input_is_taken_or_refused(values):
    try:
        found = parse(Colours, values)
    except Invalid:
        return
    assert isinstance(found, Colours)


@given(
    st.builds(
        Colours,
        mode=st.sampled_from(["full", "incremental"]),
        quick=st.booleans(),
        coats=st.integers(-(10**17), 10**17),
    )
)
def test_what_was_stored_as_texts_comes_back_typed(colours):
    given = {"mode": colours.mode, "quick": str(colours.quick), "coats": str(colours.coats)}
    found = parse(Colours, given)
    assert (found.mode, found.quick, found.coats) == (colours.mode, colours.quick, colours.coats)
