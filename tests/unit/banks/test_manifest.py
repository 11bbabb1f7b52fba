"""A manifest comes back as it was written, refuses what is not one, and does not guess at a later format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karbor.model.errors import FormatTooNew
from karbor.model.manifest import OUTCOMES, Manifest, SavedCloud, SavedPlan, SavedResource
from karbor.model.resource import Ref

texts = st.text(max_size=10)
values = st.none() | st.booleans() | st.integers() | texts
facts = st.dictionaries(texts, values | st.lists(values, max_size=3), max_size=3)
resources = st.builds(
    SavedResource,
    ref=st.builds(Ref, texts, texts),
    name=texts,
    status=texts,
    reason=texts,
    saved=facts,
    not_kept=st.lists(texts, max_size=2).map(tuple),
    artifacts=st.dictionaries(texts, texts, max_size=2),
)
manifests = st.builds(
    Manifest,
    checkpoint_id=texts,
    project_id=texts,
    provider_id=texts,
    outcome=st.sampled_from(OUTCOMES),
    created_at=texts,
    ended_at=texts,
    plan=st.builds(SavedPlan, texts, texts, st.lists(facts, max_size=2).map(tuple), facts),
    cloud=st.builds(SavedCloud, texts, texts),
    resources=st.lists(resources, max_size=3).map(tuple),
    extra_info=facts,
)


@given(manifests)
def test_it_comes_back_as_it_was(manifest: Manifest) -> None:
    raw = manifest.to_bytes()
    assert Manifest.from_bytes(raw) == manifest
    assert Manifest.from_bytes(raw).to_bytes() == raw


def document() -> dict[str, Any]:
    ref = Ref("OS::Nova::Server", "1")
    server = SavedResource(ref, "web", "available", saved={"flavor": "m1"}, artifacts={"disk": "ab"})
    plan = SavedPlan("plan", "nightly", ({"id": "1", "type": "OS::Nova::Server"},), {"x": 1})
    cloud = SavedCloud("http://keystone", "one")
    manifest = Manifest("c", "p", "provider", "available", "then", "now", plan, cloud, (server,), {"by": "me"})
    return json.loads(manifest.to_bytes())


def paths(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in `document` whose type the format fixes."""
    free = ("saved", "parameters", "extra_info")
    found: list[tuple[str | int, ...]] = []
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        found.append((*path, key))
        if isinstance(value, dict | list) and key not in free and path[-2:] != ("plan", "resources"):
            found += paths(value, (*path, key))
    return found


@pytest.mark.parametrize("path", [path for path in paths(document()) if path[:3] != ("plan", "resources", 0)], ids=repr)
def test_a_field_of_another_type_is_refused_by_its_name(path: tuple[str | int, ...]) -> None:
    data = document()
    *above, last = path
    place = data
    for step in above:
        place = place[step]
    place[last] = 3.5
    named = [step for step in path if isinstance(step, str)][-1]
    with pytest.raises(ValueError, match=named):
        Manifest.from_bytes(json.dumps(data).encode())
    if isinstance(last, str) and "artifacts" not in above:
        del place[last]
        with pytest.raises(ValueError, match=named):
            Manifest.from_bytes(json.dumps(data).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b"{}", b"\xff", Manifest.to_bytes])
def test_what_is_no_manifest(raw: Any) -> None:
    if callable(raw):
        raw = json.dumps(document()).encode()[:-20]
    with pytest.raises(ValueError):
        Manifest.from_bytes(raw)


def test_an_outcome_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match="half"):
        Manifest.from_bytes(json.dumps({**document(), "outcome": "half"}).encode())


def test_fields_that_came_later_are_passed_over() -> None:
    data = document()
    expected = Manifest.from_bytes(json.dumps(data).encode())
    data["later"] = data["plan"]["later"] = data["resources"][0]["later"] = ["something"]
    assert Manifest.from_bytes(json.dumps(data).encode()) == expected


def test_a_later_format_is_not_guessed_at() -> None:
    with pytest.raises(FormatTooNew, match=r"format 2.*up to 1.*newer Karbor"):
        Manifest.from_bytes(json.dumps({"format": 2, "nothing": "else is known"}).encode())


def test_facts_have_to_be_json() -> None:
    manifest = Manifest.from_bytes(json.dumps(document()).encode())
    for fact in (float("nan"), object()):
        saved = SavedResource(Ref("t", "i"), "n", "available", saved={"fact": fact})
        with pytest.raises((TypeError, ValueError)):
            Manifest(**{**{f: getattr(manifest, f) for f in manifest.__slots__}, "resources": (saved,)}).to_bytes()
