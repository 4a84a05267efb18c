"""When a notification was tried last, so that a channel's last error has its true time."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was tried before has none."""
    op.add_column("alert_notifications", sa.Column("tried_ns", sa.BigInteger(), nullable=True))
