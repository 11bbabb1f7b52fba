"""The demo's application on a stage: built, protected, lost and looked at as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stage import Stage

from karbor.cloud.servers import SERVER
from karbor.demo.application import Application, build, ground
from karbor.demo.compare import compare, is_equal, mapping_of
from karbor.demo.describe import Description, describe
from karbor.demo.destroy import destroy
from karbor.engine import report
from karbor.model.resource import Ref
from karbor.store import checkpoints, operations

SIZE = 64 << 10
"""Random bytes at the beginning of each disk."""

Document = dict[str, Any]


class Shop(Stage):
    """A web server and a database server, with everything that they stand on."""

    def open(self) -> Application:
        return build(self.cloud(), ground(self.cloud()), size=SIZE)

    def servers(self, app: Application) -> tuple[Ref, ...]:
        return tuple(Ref(SERVER.type, id) for id in app.of(SERVER).values())

    def protected(self, app: Application, **parameters: Any) -> str:
        """Protect both servers, which has to go well; the checkpoint's id."""
        row = self.protect(*self.servers(app), parameters=parameters)
        assert row["status"] == "available", row["error_info"]
        return str(row["checkpoint_id"])

    def restored(self, checkpoint: str, **request: Any) -> Document:
        """Restore, which has to go well; its document."""
        row = self.restore(checkpoint, **request)
        assert row["status"] == "success", row["error_info"]
        return report.restore_document(self.database, row)

    def destroy(self, app: Application) -> None:
        destroy(self.cloud(), app)

    def again(self, app: Application, restore: Document) -> Application:
        """What the application has become."""
        return app.became(mapping_of(restore))

    def picture(self, app: Application) -> Mapping[str, Description]:
        return describe(self.cloud(), app)

    def is_as_before(self, before: Mapping[str, Description], app: Application, restore: Document) -> bool:
        mapping = mapping_of(restore)
        return is_equal(compare(before, self.picture(app.became(mapping)), mapping))

    def holds(self) -> dict[str, set[str]]:
        """The ids of everything that the project has, as the sandbox itself knows them."""
        return {kind: set(ids) for kind, ids in self.inventory().items()}

    def creates(self) -> dict[str, int]:
        """How many objects of each kind were ever created."""
        return dict(self.ask("/sandbox/counts")["creates"])

    def checkpoint(self, id: str) -> Document:
        return report.checkpoint_document(self.database, checkpoints.get(self.database, id))

    def bad(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Why each resource of an operation failed, by its name; none may be without a result."""
        results = operations.results(self.database, row["id"])
        names = [item["name"] or item["id"] for item in row["graph"]["resources"]]
        assert set(results) == set(range(len(names)))
        assert all(result["status"] for result in results.values())
        return {names[node]: result["reason"] for node, result in results.items() if result["reason"]}
