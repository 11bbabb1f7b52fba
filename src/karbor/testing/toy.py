"""A cloud in memory with one kind of object, to test engines and plug-ins of the engine's own promises without HTTP."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from karbor.cloud.kind import Body, Kind, Object
from karbor.model.errors import Gone, Refused, Unclear


class ToyCloud:
    """Objects by id; each create is counted by its tag. `trouble(verb, name)` may raise before anything is done."""

    name = "toy"
    region = "toy"
    auth_url = "memory://toy"
    project_id = "toyproject"

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.creates: list[str] = []
        self.trouble: Callable[[str, str], None] = lambda _verb, _name: None
        self.lose_answers = 0
        """How many of the next creates are carried out but answered with silence."""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def guarded(self, guard: Callable[[float], None]) -> ToyCloud:
        """Itself: none of its calls lasts."""
        return self

    def remembering(self) -> ToyCloud:
        """Itself: none of its answers costs anything."""
        return self

    def read(self, kind: Kind, id: str) -> Object | None:
        return kind.get(self, id)  # type: ignore[arg-type]

    def quota_left(self) -> Mapping[str, int | None]:
        return {"toys": 1000 - len(self.objects)}

    def create(self, body: Body, tag: str) -> str:
        self.trouble("create", body["name"])
        with self._lock:
            id = f"toy-{next(self._numbers)}"
            self.objects[id] = {"id": id, "tag": tag, "status": body.get("status", "ready"), **body}
            self.creates.append(tag)
            if self.lose_answers:
                self.lose_answers -= 1
                raise Unclear("create: no answer")
        return id


class ToyKind(Kind):
    """The one kind of a ToyCloud: its tag is a field of its own."""

    name = "toy"
    type = "OS::Toy::Thing"
    service = "toy"
    ready_states = frozenset({"ready"})

    def create(self, cloud: Any, body: Body, tag: str) -> str:
        return str(cloud.create(body, tag))

    def find(self, cloud: Any, body: Body, tag: str, before: Any) -> list[str]:
        return [id for id, thing in list(cloud.objects.items()) if thing["tag"] == tag]

    def get(self, cloud: Any, id: str) -> Object | None:
        found = cloud.objects.get(id)
        return None if found is None else dict(found)

    def list(self, cloud: Any) -> Iterator[Object]:
        yield from list(cloud.objects.values())

    def delete(self, cloud: Any, id: str) -> None:
        if id not in cloud.objects:
            raise Gone(f"no toy {id}", 404)
        cloud.trouble("delete", cloud.objects[id]["name"])
        if any(id in thing.get("needs", ()) for thing in list(cloud.objects.values())):
            raise Refused(f"toy {id} is needed", 409)
        del cloud.objects[id]

    def settle(self, cloud: Any, id: str, body: Body, tag: str) -> None:
        if id in cloud.objects:
            cloud.objects[id]["tag"] = ""

    def needs(self, cloud: Any, body: Body) -> Mapping[str, int]:
        return {"toys": 1}

    def paint(self, cloud: Any, *, id: str, colour: str) -> None:
        """Something to act on a toy."""
        cloud.trouble("paint", self._there(cloud, id)["name"])
        self._there(cloud, id)["colour"] = colour

    def painted(self, cloud: Any, *, id: str, colour: str) -> bool:
        return bool(self._there(cloud, id).get("colour") == colour)

    def _there(self, cloud: Any, id: str) -> dict[str, Any]:
        if id not in cloud.objects:
            raise Gone(f"no toy {id}", 404)
        found: dict[str, Any] = cloud.objects[id]
        return found


TOY = ToyKind()
