"""One SQLite file beside a user's mail: opened when it is first asked, thrown away when it is damaged.

What lives here: the only door to sqlite3.  What does not: what is kept in a file (index.py,
textindex.py); none of it is truth, so whatever SQLite complains about is logged once and
answered as if there were nothing, and a session never fails here.
"""

from __future__ import annotations

import os

from mailcore import log
from mailcore.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from typing import Any

BUSY_SECONDS = 20


def preload() -> None:
    """Import SQLite now, so that the forks of a listener need not."""
    import _sqlite3  # noqa: F401


class Database:
    """A file in `home`, "" if there is no place for one; a subclass says what is in it."""

    name: str  # of the file
    version: int  # goes up with every change of `schema` or of what the tables mean
    tables: Sequence[str]
    schema: str
    busy_seconds: float = BUSY_SECONDS

    def __init__(self, home: str) -> None:
        self.home = home
        self._connection: sqlite3.Connection | None = None
        self._broken = not home

    @property
    def path(self) -> str:
        return os.path.join(self.home, self.name)

    @property
    def lasting(self) -> bool:
        """What is saved is there in the next session."""
        return not self._broken

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def sound(self) -> bool:
        """SQLite's own opinion of the file."""
        said = self._asked(lambda db: db.execute("PRAGMA integrity_check").fetchall(), [])
        return bool(said == [("ok",)])

    def _asked(self, question: Callable[[Any], Any], otherwise: Any) -> Any:
        """What `question` finds out, or `otherwise` when the file is of no use."""
        if self._broken:
            return otherwise
        import _sqlite3 as sqlite3  # its half in Python costs a datetime, and nothing here needs that

        try:
            if self._connection is None:
                self._connection = self._opened()
            return question(self._connection)
        except (sqlite3.Error, OSError, ValueError, OverflowError, IndexError, TypeError) as error:
            self._give_up(error)
            return otherwise

    def _opened(self) -> sqlite3.Connection:
        import _sqlite3 as sqlite3

        for again in (True, False):
            connection = sqlite3.connect(
                self.path, timeout=self.busy_seconds, isolation_level=None, cached_statements=32
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                if self._version(connection) != self.version:
                    self._make_tables(connection)
                os.chmod(self.path, 0o600)
                return connection
            except sqlite3.DatabaseError as error:
                connection.close()
                if not again or isinstance(error, sqlite3.OperationalError):
                    raise
                log.warning(f"{self.name} of {log.clean(self.home)} is damaged and made anew: {error}")
                self._discard()
        raise sqlite3.DatabaseError("unreachable")

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        """Unless another session did meanwhile."""
        connection.execute("BEGIN IMMEDIATE")
        if self._version(connection) != self.version:
            dropped = [f"DROP TABLE IF EXISTS {table}" for table in self.tables]
            for statement in (*dropped, *self.schema.split(";"), f"PRAGMA user_version = {self.version}"):
                connection.execute(statement)
        connection.execute("COMMIT")

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            try:
                files.remove(self.path + suffix)
            except FileNotFoundError:
                pass

    def _give_up(self, error: Exception) -> None:
        """This session goes on without the file; a damaged one is thrown away for the next."""
        log.warning(f"{self.name} of {log.clean(self.home)} is of no use: {error}")
        self._broken = True
        self.close()
        if type(error).__name__ == "DatabaseError":
            self._discard()
