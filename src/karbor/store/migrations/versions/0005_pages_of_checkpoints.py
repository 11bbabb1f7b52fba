"""pages of checkpoints are read in their order, without sorting all of a project's"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("checkpoints_by_age", "checkpoints", ["project_id", "created_at", "id"])
