"""exact times, long texts, large numbers and texts that differ by case, in databases other than SQLite"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CHANGES = {
    "operations": ("lease_until DOUBLE NOT NULL", "error_info LONGTEXT", "credential LONGTEXT"),
    "hooks": ("reason LONGTEXT NOT NULL",),
    "journal": (),
    "results": ("reason LONGTEXT NOT NULL", "done BIGINT NOT NULL", "total BIGINT NOT NULL"),
    "checkpoints": ("reason LONGTEXT NOT NULL",),
    "plans": (),
    "triggers": ("name LONGTEXT NOT NULL",),
    "scheduled_operations": ("credential LONGTEXT NOT NULL",),
    "firings": ("reason LONGTEXT NOT NULL",),
    "quotas": (),
    "quota_classes": (),
    "services": ("updated_at DOUBLE",),
}
"""What columns become in MariaDB and MySQL, by table: their FLOAT knows minutes only, their TEXT ends at 64 KiB."""


def upgrade() -> None:
    op.create_index("checkpoints_by_usage", "checkpoints", ["project_id", "status", "bytes_in_bank"])
    match op.get_bind().dialect.name:
        case "mysql" | "mariadb":
            _upgrade_mysql()
        case "postgresql":
            for column in ("done", "total"):
                op.alter_column("results", column, type_=sa.BigInteger(), existing_nullable=False)
        case _:
            pass  # SQLite's columns hold all of this as they are


def _upgrade_mysql() -> None:
    """The collation of a column cannot be changed while a foreign key is on it."""
    found = sa.inspect(op.get_bind())
    keys = [(table, key, str(key["name"])) for table in CHANGES for key in found.get_foreign_keys(table)]
    for table, _, name in keys:
        op.drop_constraint(name, table, type_="foreignkey")
    for table, columns in CHANGES.items():
        changes = [f"MODIFY {column}" for column in columns]
        op.execute(
            f"ALTER TABLE {table} {', '.join(['CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', *changes])}"
        )
    for table, key, name in keys:
        op.create_foreign_key(
            name, table, key["referred_table"], key["constrained_columns"], key["referred_columns"],
            ondelete=key["options"].get("ondelete"),
        )  # fmt: skip
