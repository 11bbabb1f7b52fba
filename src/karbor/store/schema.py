"""The tables, as SQLAlchemy Core sees them; `migrations/` makes them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

metadata = MetaData()

LONG = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")  # their TEXT ends after 64 KiB

operations = Table(
    "operations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("operation_type", String(16), nullable=False),
    Column("project_id", String(64), nullable=False, index=True),
    Column("provider_id", String(36), nullable=False),
    Column("checkpoint_id", String(36), nullable=False, index=True),
    Column("status", String(32), nullable=False),
    # forward, rollback: to be run; kept: failed, waits for a person's resume or rollback; ended.
    Column("phase", String(16), nullable=False, index=True),
    # service: any engine may run it; command: only a command that holds it, because it has the credentials.
    Column("runner", String(16), nullable=False),
    Column("cloud", JSON, nullable=False),  # name, region, auth_url, project_id; never a secret
    Column("request", JSON, nullable=False),
    Column("graph", JSON, nullable=True),  # null until discovered
    Column("outline", JSON, nullable=True),  # null until planned
    Column("epoch", Integer, nullable=False, default=0),
    Column("owner", JSON, nullable=True),
    Column("lease_until", Double, nullable=False, default=0.0),  # seconds since 1970 on the database's clock
    Column("cancel", Boolean, nullable=False, default=False),
    Column("error_info", LONG, nullable=True),
    Column("created_at", String(26), nullable=False),
    Column("started_at", String(26), nullable=True),
    Column("ended_at", String(26), nullable=True),
    # of operations that came through the API:
    Column("user_id", String(64), nullable=False, default=""),
    Column("plan_id", String(36), nullable=True, index=True),
    Column("scheduled_operation_id", String(36), nullable=True, index=True),
    Column("credential", LONG, nullable=True),  # sealed; null when the operation has ended
    # how often it has met an error that nobody foresaw, since a person last looked at it:
    Column("tries", Integer, nullable=False, default=0),
)


def _of_operation() -> Column[str]:
    return Column("operation_id", String(36), ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True)


hooks = Table(
    "hooks",
    metadata,
    _of_operation(),
    Column("node", Integer, primary_key=True, autoincrement=False),  # position of the resource in the graph
    Column("hook", Integer, primary_key=True, autoincrement=False),  # 0..3 as in plugins.base.HOOKS, 4 settles
    Column("state", String(16), nullable=False),
    Column("started_at", String(26), nullable=True),
    Column("ended_at", String(26), nullable=True),
    Column("reason", LONG, nullable=False, default=""),
)

journal = Table(
    "journal",
    metadata,
    _of_operation(),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("node", Integer, nullable=False),
    Column("hook", Integer, nullable=False),
    Column("verb", String(16), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("old_type", String(64), nullable=False),
    Column("old_id", String(255), nullable=False),
    Column("key", String(255), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("temporary", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("value", JSON, nullable=False),
    Column("at", String(26), nullable=False),
)

results = Table(
    "results",
    metadata,
    _of_operation(),
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("status", String(32), nullable=False),
    Column("reason", LONG, nullable=False),
    Column("done", BigInteger, nullable=False, default=0),  # progress in `unit`s
    Column("total", BigInteger, nullable=False, default=0),
    Column("unit", String(16), nullable=False, default=""),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("provider_id", String(36), nullable=False),
    Column("status", String(32), nullable=False),
    Column("reason", LONG, nullable=False, default=""),
    Column("plan", JSON, nullable=False),
    Column("resources", JSON, nullable=False),  # [{type, id, name, status, reason}]
    Column("extra_info", JSON, nullable=False),
    Column("cloud", JSON, nullable=False),
    Column("created_at", String(26), nullable=False, index=True),
    Column("ended_at", String(26), nullable=True),
    Column("plan_id", String(36), nullable=True, index=True),
    Column("bytes_in_bank", BigInteger, nullable=False, default=0),
)

plans = Table(
    "plans",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("user_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", String(255), nullable=True),
    Column("provider_id", String(36), nullable=False),
    Column("status", String(32), nullable=False),
    Column("resources", JSON, nullable=False),  # [{id, type, name, extra_info?}]
    Column("parameters", JSON, nullable=False),  # {type or type#id: {option: value}}
    Column("created_at", String(26), nullable=False),
)

triggers = Table(
    "triggers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("name", LONG, nullable=False),
    Column("type", String(32), nullable=False),
    Column("properties", JSON, nullable=False),
    Column("next_at", String(26), nullable=True, index=True),  # the next firing, UTC; null when there is none any more
    Column("created_at", String(26), nullable=False),
)

scheduled_operations = Table(
    "scheduled_operations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("user_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", String(255), nullable=True),
    Column("operation_type", String(32), nullable=False),
    Column("trigger_id", String(36), ForeignKey("triggers.id"), nullable=False, index=True),
    Column("operation_definition", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("credential", LONG, nullable=False),  # sealed: a trust, or an application credential that its owner gave
    Column("created_at", String(26), nullable=False),
)

firings = Table(
    "firings",
    metadata,
    Column("id", String(36), primary_key=True),
    Column(
        "scheduled_operation_id",
        String(36),
        ForeignKey("scheduled_operations.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("due_at", String(26), nullable=False),
    # started, with the operation that is its run; dropped, with the reason; failed to start, with the reason
    Column("status", String(32), nullable=False),
    Column("reason", LONG, nullable=False, default=""),
    Column("operation_id", String(36), nullable=True, index=True),
    Column("retained_at", String(26), nullable=True),  # when old checkpoints were looked through after it
    UniqueConstraint("scheduled_operation_id", "due_at", name="one_firing_a_moment"),
)

quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("limit", Integer, nullable=False),  # -1: none
)

quota_classes = Table(
    "quota_classes",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("limit", Integer, nullable=False),
)

services = Table(
    "services",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("host", String(255), nullable=False),
    Column("binary", String(64), nullable=False),
    Column("status", String(16), nullable=False),  # enabled, disabled
    Column("disabled_reason", String(255), nullable=True),
    Column("updated_at", Double, nullable=True),  # the last sign of life, seconds since 1970 on the database's clock
    UniqueConstraint("host", "binary", name="one_service_a_host"),
)

awaited_trusts = Table(
    "awaited_trusts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("expires_at", String(26), nullable=False),  # by which it is known: nobody else's ends at that second
    Column("noted_at", Double, nullable=False),  # seconds since 1970 on the database's clock
    Column("given_up", Boolean, nullable=False),  # no schedule may take it any more: an engine ends it
)

Index("journal_by_node", journal.c.operation_id, journal.c.node)
# What a project uses is counted at each new checkpoint, from here alone: the rows are large.
Index("checkpoints_by_usage", checkpoints.c.project_id, checkpoints.c.status, checkpoints.c.bytes_in_bank)
# A page of a project's checkpoints is read in its order: sorting all of them would move large rows.
Index("checkpoints_by_age", checkpoints.c.project_id, checkpoints.c.created_at, checkpoints.c.id)
