"""Run the migrations, without a file of settings and within the transaction of the caller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from clew.store import schema
from clew.store.catalog import VERSION_TABLE

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, RevisionStep, StampStep
    from sqlalchemy import Connection

    Step = RevisionStep | StampStep


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))


def known_versions() -> set[str]:
    """Return the versions this clew has migrations for."""
    return {script.revision for script in _scripts().walk_revisions()}


def upgrade(connection: Connection, version: str = "head") -> None:
    """Bring the schema behind *connection* to *version*; the caller commits."""
    scripts = _scripts()
    environment = EnvironmentContext(Config(), scripts)

    def steps(revision: object, context: MigrationContext) -> list[Step]:
        _ = context
        return scripts._upgrade_revs(version, revision)  # pyright: ignore  # noqa: SLF001  what Alembic's own command does

    environment.configure(
        connection=connection,
        fn=steps,
        target_metadata=schema.metadata,
        version_table=VERSION_TABLE,
        # SQLite can change little of a table in place: the table is copied instead.
        render_as_batch=True,
        transactional_ddl=True,
    )
    environment.run_migrations()
