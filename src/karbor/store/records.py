"""What lists need of many operations at once: their graphs, journals and results, in one query each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from karbor.store import schema
from karbor.store.database import reading

Row = Mapping[str, Any]


def protections(database: sa.Engine, checkpoint_ids: Collection[str]) -> dict[str, Row]:
    """For each checkpoint the `id` and `graph` of the operation that made it, where its record is still there.

    The graph is the text that is stored: most checkpoints of a plan have the same one, which need be read only once.
    """
    table = schema.operations
    query = sa.select(table.c.checkpoint_id, table.c.id, sa.cast(table.c.graph, sa.Text).label("graph")).where(
        table.c.checkpoint_id.in_(checkpoint_ids), table.c.operation_type.in_(("protect", "copy"))
    )
    with reading(database) as connection:
        return {checkpoint: {"id": id, "graph": graph} for checkpoint, id, graph in connection.execute(query)}


def entries(database: sa.Engine, operation_ids: Collection[str]) -> dict[str, list[Row]]:
    """For each operation what its journal says of things made and used, in the order of writing."""
    table = schema.journal
    query = (
        sa.select(table)
        .where(table.c.operation_id.in_(operation_ids), table.c.verb.in_(("make", "use")))
        .order_by(table.c.operation_id, table.c.seq)
    )
    found: dict[str, list[Row]] = {id: [] for id in operation_ids}
    with reading(database) as connection:
        for row in connection.execute(query).mappings():
            found[row["operation_id"]].append(dict(row))
    return found


def results(database: sa.Engine, operation_ids: Collection[str]) -> dict[str, dict[int, Row]]:
    """For each operation the outcome and progress of its resources, by their positions in the graph."""
    table = schema.results
    found: dict[str, dict[int, Row]] = {id: {} for id in operation_ids}
    if not found:  # as of most checkpoints, which have ended
        return found
    with reading(database) as connection:
        for row in connection.execute(sa.select(table).where(table.c.operation_id.in_(operation_ids))).mappings():
            found[row["operation_id"]][row["node"]] = dict(row)
    return found
