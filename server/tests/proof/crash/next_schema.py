"""The migration after the newest one, as a release to come might bring it. There is one schema so far, so that a proof of upgrades makes the second."""

from __future__ import annotations

from jobwire_server.store.sqlite import schema

# It adds, fills, moves, drops and indexes: one statement of each kind that a migration has.
STATEMENTS = (
    "ALTER TABLE jobs ADD COLUMN proof_length INTEGER",
    "UPDATE jobs SET proof_length = length(data), revision = revision + 1",
    "CREATE INDEX proof_lengths ON jobs (queue, proof_length)",
    "CREATE TABLE proof_pulse (id INTEGER PRIMARY KEY, at INTEGER NOT NULL)",
    "INSERT INTO proof_pulse SELECT id, at FROM pulse",
    "DELETE FROM claims",
    "DROP INDEX by_group",
)
# Where a migration can be cut: before each statement, before its row in the ledger of migrations, and before the COMMIT.
BOUNDARIES = len(STATEMENTS) + 2

_released = schema.migrations


def next_migrations() -> list[schema.Migration]:
    """The released migrations and the one after them."""
    released = _released()
    version = released[-1].version + 1
    return [*released, schema.Migration(version, "proof", ";\n".join(STATEMENTS))]
