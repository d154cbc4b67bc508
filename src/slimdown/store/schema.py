"""The tables, and the way to them from any older version: an append-only list of small steps.

Plain columns hold what a list of calls shows (model, times, counts, status). Everything that
could hold words of a prompt, an answer, a label or a name lies in a ``sealed`` column, and is
found again by a keyed hash. Knows nothing of keys or of what the sealed bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from slimdown.errors import StoreError

APPLICATION_ID = 0x534C494D  # "SLIM", in the header of the database file

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
-- A message, a tool list, the rest of a request, a frame, or an answer: once, by keyed hash.
-- With a base it is compressed against that part, which has none itself.
CREATE TABLE part (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL, base INTEGER, sealed BLOB NOT NULL
);
CREATE UNIQUE INDEX part_hash ON part (hash);
-- A list of messages is its last message and the list before it; list 0 is the empty one.
CREATE TABLE history (number INTEGER PRIMARY KEY, before INTEGER NOT NULL, part INTEGER NOT NULL);
CREATE UNIQUE INDEX history_step ON history (before, part);
CREATE TABLE call (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL, -- of the id: 4 bytes for its first 8 characters, 12 for all of it
    started_at TEXT NOT NULL,
    model TEXT,
    latency_ms REAL,
    n_messages INTEGER NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    status TEXT NOT NULL,
    history INTEGER,
    tools INTEGER,
    rest INTEGER NOT NULL,
    frame INTEGER NOT NULL,
    answer INTEGER,
    sealed BLOB NOT NULL
);
CREATE UNIQUE INDEX call_hash ON call (hash);
CREATE INDEX call_time ON call (started_at);
CREATE TABLE result (
    number INTEGER PRIMARY KEY, stage TEXT NOT NULL, hash BLOB NOT NULL, sealed BLOB NOT NULL
);
CREATE UNIQUE INDEX result_key ON result (stage, hash);
"""

_SECOND = """
ALTER TABLE call ADD COLUMN served_by TEXT; -- "upstream" or a specialist's id
-- A specialist's answer beside the upstream's, once for each call and specialist.
CREATE TABLE evidence (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL, task BLOB NOT NULL, sealed BLOB NOT NULL
);
CREATE UNIQUE INDEX evidence_hash ON evidence (hash);
CREATE INDEX evidence_task ON evidence (task);
-- Every route table there has been; the newest version is in force.
CREATE TABLE route_table (version INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
"""


def _first(connection: apsw.Connection) -> None:
    connection.execute(_FIRST)


def _second(connection: apsw.Connection) -> None:
    connection.execute(_SECOND)


STEPS: tuple[Callable[[apsw.Connection], None], ...] = (_first, _second)
"""Step i leads from version i to version i + 1. Steps are added at the end, never changed."""


def version(connection: apsw.Connection) -> int:
    """Return the schema version of a database; 0 is one without tables."""
    return int(connection.pragma("user_version"))


def migrate(connection: apsw.Connection) -> None:
    """Bring the database to the newest version, inside the caller's transaction."""
    for number, step in enumerate(STEPS[version(connection) :], start=version(connection) + 1):
        step(connection)
        connection.pragma("user_version", number)
    connection.pragma("application_id", APPLICATION_ID)


def refuse_unknown(connection: apsw.Connection, path: object) -> None:
    """Raise `StoreError` for a database that is not ours, or newer than this version knows."""
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if tables and connection.pragma("application_id") != APPLICATION_ID:
        raise StoreError(
            f"{path} is another program's database. Nothing was changed. "
            "Name another folder for the workspace."
        )
    found = version(connection)
    if found > len(STEPS):
        raise StoreError(
            f"{path} was written by a newer slimdown (schema {found}; this one knows up to "
            f"{len(STEPS)}). Nothing was changed. Install the newer slimdown to open it."
        )
