"""What a Kind is: how one sort of cloud object is created, found again by its tag, read, listed and deleted.

The engine journals, waits and rolls back through these methods alone, so a plug-in never has to.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from karbor.model.errors import Failed

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud


class Step(enum.Enum):
    """What a look at the cloud can answer besides True and False."""

    UNDER_WAY = "under way"


UNDER_WAY = Step.UNDER_WAY

Body = Mapping[str, Any]
Object = Mapping[str, Any]
"""An object as the service answers it, without its envelope."""


class Kind:
    """One sort of cloud object. Instances are constants without state; `KINDS` holds each by its name.

    `create` carries the tag in the create call itself, in the field of openstack-facts that survives;
    `settle` takes it off again once the resource is finished.
    """

    name: ClassVar[str]
    """The word in journals and outlines, e.g. `volume`."""
    type: ClassVar[str]
    """The resource type that its objects have, e.g. `OS::Cinder::Volume`."""
    service: ClassVar[str]
    """Whose call it is: compute, volume, image, network."""
    ready_states: ClassVar[frozenset[str]] = frozenset()
    """States (in lower case) in which a new object is finished; empty: it is finished when it exists."""
    failed_states: ClassVar[frozenset[str]] = frozenset({"error"})

    def __init__(self) -> None:
        KINDS[self.name] = self

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        """Ask for the object with one call that carries `tag`; the new id.

        Raises Refused (400, 403, 409 …; OverQuota), Unclear (no answer or 5xx: perhaps made).
        """
        raise NotImplementedError

    def before(self, cloud: Cloud, body: Body) -> Any:
        """What must be known before the create so that `find` can tell ours (only for kinds without a tag). JSON."""
        return None

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        """The ids of what `create` made with this tag; compared on our side, whatever the service filtered."""
        raise NotImplementedError

    def get(self, cloud: Cloud, id: str) -> Object | None:
        """The object now, or None when it is gone (or not visible)."""
        raise NotImplementedError

    def list(self, cloud: Cloud) -> Iterator[Object]:
        """All objects of this kind in the cloud's project, page by page."""
        raise NotImplementedError

    def delete(self, cloud: Cloud, id: str) -> None:
        """Ask for its deletion (unlocking and unprotecting first); gone already is good.

        Raises NotNow while something else still holds it, Refused when it will never go.
        """
        raise NotImplementedError

    def goes_with(self, body: Body) -> str:
        """The id of the object whose deletion takes along what `body` asks for; empty where none does."""
        return ""

    def is_still(self, cloud: Cloud, id: str, body: Body) -> bool:
        """Whether what has this id is what `body` asked for; where the id is a name, it may be another one by now."""
        return True

    def holders(self, cloud: Cloud, id: str) -> Iterator[str]:
        """What keeps the object from being deleted, in words, as far as its owner can see that."""
        return iter(())

    def settle(self, cloud: Cloud, id: str, body: Body, tag: str) -> None:
        """Put back what the tag replaced and remove what it added; may be called again."""

    def owned(self, cloud: Cloud, obj: Object) -> bool:
        """Whether it is the project's own; shared, public and external things are others'."""
        owner = obj.get("project_id") or obj.get("tenant_id") or obj.get("owner")
        return owner is None or owner == cloud.project_id

    def needs(self, cloud: Cloud, body: Body) -> Mapping[str, int]:
        """What one such object takes from the project's quotas, e.g. `{"volumes": 1, "gigabytes": 10}`."""
        return {}

    def state(self, obj: Object) -> str:
        """Its state in lower case."""
        return str(obj.get("status") or "").lower()

    def ready(self, obj: Object) -> bool:
        """Whether a new object is finished; raises Failed with the service's own reason when it never will be."""
        state = self.state(obj)
        if state in self.failed_states:
            raise Failed(
                f"{self.name} {obj['id']} went into state {state}: {self.reason(obj)}", str(obj["id"]), self.reason(obj)
            )
        return not self.ready_states or state in self.ready_states

    def undeletable(self, obj: Object) -> bool:
        """Whether the service has given up a deletion that was asked for (back to `available`, `error_deleting`)."""
        return False

    def reason(self, obj: Object) -> str:
        """Why it failed, in the service's own words; asks nothing."""
        return str(obj.get("fail_reason") or "the service gives no reason")

    def way_out(self, obj: Object) -> str:
        """What frees the object where its state lets no member change or remove it; empty in every other state."""
        return ""

    def size(self, obj: Object) -> int:
        """Its size in GiB as far as waiting is concerned; 0 where size plays no part."""
        return int(obj.get("size") or 0)

    def addresses(self, obj: Object) -> Sequence[str]:
        """The IP addresses that it has; none for most kinds."""
        found = [str(each["ip_address"]) for each in obj.get("fixed_ips") or ()]
        return [*found, str(obj["floating_ip_address"])] if obj.get("floating_ip_address") else found

    def title(self, body: Body) -> str:
        """How people call the object that `body` asks for."""
        return str(body.get("name") or "")


KINDS: dict[str, Kind] = {}
"""All kinds by name: a journal that is read after a crash knows them only so."""
