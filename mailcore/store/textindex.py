"""The text index: which messages may have a string in their text, in a second SQLite file for each user.

What lives here: the file, and what a session knows of one mailbox in it.  What does not: what of a
message is its text, and whether a string is really there (imapd/document.py, imapd/criteria.py): what
is found here is looked at again, and what is not known here is looked at anyway.

A message has one row of an FTS5 table: of its text only the trigrams are kept, and of these only that
they occur (detail=none, no content).  Rows are numbered as they come, for each mailbox from its id
times 2^32 on, and what makes a message that message is kept by their numbers as columns, as in index.py.  So a
message that changed, or another one under its UID, is simply not known.  A row cannot be taken
out (SQLite would want its text): rows of messages that are gone are passed over, and when they
are most of all rows everything is begun anew.

Mailboxes go by MAILBOXID, which a rename does not change.

FTS5 notices some damage and not all of it, and a row that it does not find is a message that a search
misses.  So there is a checksum over its tables, made by whoever adds to them, and compared once a day
before anything is asked or added.
"""

from __future__ import annotations

from array import array
from binascii import crc32
from time import time

from mailcore.store.database import Database
from mailcore.store.mailbox import ANYTHING
from mailcore.store.remembered import marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from mailcore.store.columns import Columns

NAME = "text.db"
VERSION = 1
CHUNK_ROWS = 1024
MAILBOX_ROWS = 1 << 32  # row numbers of one mailbox
SPARE_ROWS = 4096  # so many rows of messages that are gone are never too many
CHECK_SECONDS = 24 * 3600
GRAM = 3  # characters
GRAMS = 32  # of a string; more would not make it rarer

_SCHEMA = """
CREATE TABLE mailbox (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, messages INTEGER NOT NULL);
CREATE TABLE known (
    mailbox INTEGER NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (mailbox, number)
);
CREATE TABLE state (checksum INTEGER NOT NULL, checked INTEGER NOT NULL); -- checksum 0: not made
INSERT INTO state VALUES (0, 0);
CREATE VIRTUAL TABLE text USING fts5(
    words, content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1'
);
"""


def prepared(text: str) -> str:
    """Text in a form that SQLite takes whole: documents and strings to look for alike."""
    return text.replace("\0", "\1").encode("utf-8", "replace").decode()


def grams(strings: Iterable[str]) -> list[str]:
    """Trigrams that a document with all these strings has; some, if there are many; none of short strings."""
    found: dict[str, None] = {}
    for string in map(prepared, strings):
        found.update(dict.fromkeys(string[at : at + GRAM] for at in range(len(string) - GRAM + 1)))
    return list(found)[:: -(-len(found) // GRAMS) or 1]


class Known:
    """The messages of one mailbox that have rows, in the order of these."""

    __slots__ = ("digest", "id", "octets", "source", "uid")

    def __init__(self, id_: int = 0, source: object = None) -> None:
        self.id = id_
        self.source = source  # the connection: another one may be to another file
        self.uid = array("I")
        self.digest = array("Q")
        self.octets = array("Q")

    def __len__(self) -> int:
        return len(self.uid)

    def among(self, columns: Columns) -> set[int]:
        """The UIDs of those that are in the mailbox, and are what they were."""
        first = slice(len(self))
        if (self.uid, self.digest, self.octets) == (columns.uid[first], columns.digest[first], columns.octets[first]):
            return set(self.uid)  # mail has only come
        marks = set(zip(self.uid, self.digest, self.octets, strict=True))
        return {mark[0] for mark in zip(columns.uid, columns.digest, columns.octets, strict=True) if mark in marks}

    def packed(self, number: int, name: str) -> bytes:
        span = slice(number * CHUNK_ROWS, (number + 1) * CHUNK_ROWS)
        data = b"".join(column[span].tobytes() for column in (self.uid, self.digest, self.octets))
        return crc32(data, crc32(f"{name}\n{number}".encode())).to_bytes(4, "little") + data

    def add_chunk(self, number: int, name: str, data: bytes) -> None:
        """Append what `packed` made; ValueError if it is damaged."""
        if crc32(data[4:], crc32(f"{name}\n{number}".encode())) != int.from_bytes(data[:4], "little"):
            raise ValueError("damaged chunk")
        place = 4
        rows = (len(data) - place) // sum(column.itemsize for column in (self.uid, self.digest, self.octets))
        for column in (self.uid, self.digest, self.octets):
            column.frombytes(data[place : place + rows * column.itemsize])
            place += rows * column.itemsize


class TextIndex(Database):
    """The text index of one user."""

    name = NAME
    version = VERSION
    tables = ("mailbox", "known", "state", "text")
    schema = _SCHEMA
    busy_seconds = 1

    def __init__(self, home: str, limit: int) -> None:
        super().__init__(home)
        self._limit = limit  # octets
        self._checked = 0.0  # when this session last asked for that
        self.full = False  # nothing more is learned

    # --- asking ----------------------------------------------------------------------

    def known(self, name: str, before: Known | None = None) -> Known | None:
        """What is known of a mailbox (`before`, if that is still so); None: the file is of no use."""
        found: Known | None = self._checked_and_asked(lambda db: self._known(db, name, before))
        return found

    @staticmethod
    def _known(db: sqlite3.Connection, name: str, before: Known | None = None) -> Known:
        row = db.execute("SELECT id, messages FROM mailbox WHERE name = ?", (name,)).fetchone()
        if row is None:
            return Known()
        if before is not None and before.source is db and row == (before.id, len(before)):
            return before
        known = Known(row[0], db)
        for number, data in db.execute("SELECT number, data FROM known WHERE mailbox = ? ORDER BY number", row[:1]):
            known.add_chunk(number, name, data)
        if len(known) != row[1]:
            raise ValueError("missing chunk")
        return known

    def find(self, name: str, wanted: Sequence[str], before: Known | None = None) -> tuple[Known, set[int]] | None:
        """What is known of a mailbox, and the UIDs of all rows of it that have these trigrams."""

        def find(db: sqlite3.Connection) -> tuple[Known, set[int]]:
            db.execute("BEGIN")
            known = self._known(db, name, before)
            first = known.id * MAILBOX_ROWS
            rows = db.execute(
                "SELECT rowid FROM text WHERE text MATCH ? AND rowid BETWEEN ? AND ?",
                (_question(wanted), first, first + len(known) - 1),
            ).fetchall()
            db.execute("COMMIT")
            return known, {known.uid[row - first] for (row,) in rows}

        found: tuple[Known, set[int]] | None = self._checked_and_asked(find)
        return found

    # --- the checksum ----------------------------------------------------------------

    def _checked_and_asked(self, question: Callable[[Any], Any]) -> Any:
        if time() - self._checked > CHECK_SECONDS:
            self._asked(self._check, None)
        return self._asked(question, None)

    def _check(self, db: sqlite3.Connection, thorough: bool = False) -> None:
        """Compare the checksum, if nobody did today; ValueError if it is wrong."""
        self._checked = now = time()
        db.execute("BEGIN")
        checksum, checked = db.execute("SELECT checksum, checked FROM state").fetchone()
        due = thorough or not 0 <= now - checked < CHECK_SECONDS
        if due and checksum and self._sum(db) != checksum:
            raise ValueError("damaged rows")
        db.execute("COMMIT")
        if due:
            db.execute("UPDATE state SET checked = ?", (int(now),))

    def _seal(self, db: sqlite3.Connection) -> None:
        """Make the checksum; FTS5 writes when a transaction ends, so this is another one."""
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE state SET checksum = ?", (self._sum(db),))
        db.execute("COMMIT")

    @staticmethod
    def _sum(db: sqlite3.Connection) -> int:
        """Over what FTS5 keeps."""
        total = 0
        for question in ("SELECT id, block FROM text_data ORDER BY id",
                         "SELECT segid << 40 | pgno, term FROM text_idx ORDER BY segid, term"):  # fmt: skip
            for number, data in db.execute(question):
                total = crc32(data, crc32(b"%d" % number, total))
        return total

    def size(self) -> tuple[int, int]:
        """Rows, and octets of the file."""

        def look(db: sqlite3.Connection) -> tuple[int, int]:
            (rows,) = db.execute("SELECT total(messages) FROM mailbox").fetchone()
            return int(rows), self._octets(db)

        found: tuple[int, int] = self._asked(look, (0, 0))
        return found

    @staticmethod
    def _octets(db: sqlite3.Connection) -> int:
        pages, free, octets = (db.execute(f"PRAGMA {what}").fetchone()[0] for what in
                               ("page_count", "freelist_count", "page_size"))  # fmt: skip
        return int((pages - free) * octets)

    def sound(self) -> bool:
        """SQLite's and FTS5's opinion of the file, and our checksums."""

        def look(db: sqlite3.Connection) -> bool:
            db.execute("INSERT INTO text (text) VALUES ('integrity-check')")
            self._check(db, thorough=True)
            for (name,) in db.execute("SELECT name FROM mailbox").fetchall():
                self._known(db, name)
            return True

        return super().sound() and bool(self._asked(look, False))

    # --- learning --------------------------------------------------------------------

    def learn(self, name: str, columns: Columns, documents: Iterable[tuple[int, str]], living: int) -> bool:
        """Add documents by UID, as far as there is room, and if nobody else is writing.

        `living` are the messages of all mailboxes together.
        """

        def learn(db: sqlite3.Connection) -> bool:
            db.execute("BEGIN IMMEDIATE")
            (rows,) = db.execute("SELECT total(messages) FROM mailbox").fetchone()
            if rows > 2 * living + SPARE_ROWS:
                self._begin_anew(db)
            self.full = self._octets(db) >= self._limit
            if not self.full:
                self._add(db, name, columns, documents)
                db.execute("UPDATE state SET checksum = 0")
            db.execute("COMMIT")
            if not self.full:
                self._seal(db)
            return not self.full

        done: bool = self._asked(learn, False)
        return done

    def _add(self, db: sqlite3.Connection, name: str, columns: Columns, documents: Iterable[tuple[int, str]]) -> None:
        known = self._known(db, name)
        if not known.id:
            question = "INSERT INTO mailbox (name, messages) VALUES (?, 0) RETURNING id"
            (known.id,) = db.execute(question, (name,)).fetchone()
        fresh = {(uid, *found): document for uid, document in documents if (found := marks(columns, uid))}
        for mark in zip(known.uid, known.digest, known.octets, strict=True):
            fresh.pop(mark, None)
        before = len(known)
        for (uid, digest, octets), document in fresh.items():
            row = known.id * MAILBOX_ROWS + len(known)
            db.execute("INSERT INTO text (rowid, words) VALUES (?, ?)", (row, prepared(document)))
            known.uid.append(uid)
            known.digest.append(digest)
            known.octets.append(octets)
        for number in range(before // CHUNK_ROWS, -(-len(known) // CHUNK_ROWS)):
            db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (known.id, number, known.packed(number, name)))
        db.execute("UPDATE mailbox SET messages = ? WHERE id = ?", (len(known), known.id))

    def clear(self) -> None:
        """Forget everything."""

        def clear(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            self._begin_anew(db)
            db.execute("COMMIT")

        self._asked(clear, None)

    @staticmethod
    def _begin_anew(db: sqlite3.Connection) -> None:
        for step in ("DELETE FROM mailbox", "DELETE FROM known", "UPDATE state SET checksum = 0",
                     "INSERT INTO text (text) VALUES ('delete-all')"):  # fmt: skip
            db.execute(step)

    # --- SQLite ----------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        connection = super()._opened()
        connection.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes back is learned again
        return connection

    def _give_up(self, error: Exception) -> None:
        """Who is writing now is left alone; what is damaged is thrown away, a broken FTS5 table too."""
        said: str = getattr(error, "sqlite_errorname", "")
        if said.startswith("SQLITE_BUSY"):
            self.close()
            return
        super()._give_up(error)
        if said == "SQLITE_ERROR" or type(error) is ValueError:
            self._discard()


def _question(wanted: Sequence[str]) -> str:
    """In FTS5's language."""
    quoted = ['"' + gram.replace('"', '""') + '"' for gram in wanted]
    return f'({" AND ".join(quoted)}) OR "{ANYTHING}"'


class Filed:
    """What the text index knows of one mailbox, for one session."""

    __slots__ = ("_asked", "_known", "_there", "_texts")

    def __init__(self, texts: TextIndex) -> None:
        self._texts = texts
        self._known: Known | None = None
        self._asked: Columns | None = None  # the mailbox when `_there` was found out
        self._there: set[int] = set()

    def _found(self, known: Known, columns: Columns) -> set[int]:
        """The UIDs of those that are known."""
        if known is not self._known or columns is not self._asked:
            self._known, self._asked, self._there = known, columns, known.among(columns)
        return self._there

    def without(self, name: str, columns: Columns, strings: Sequence[str]) -> set[int]:
        """The UIDs of messages that surely do not have all these strings in their text."""
        wanted = grams(strings)
        answer = self._texts.find(name, wanted, self._known) if wanted else None
        return self._found(answer[0], columns) - answer[1] if answer else set()

    def unknown(self, name: str, columns: Columns, uids: Iterable[int]) -> set[int]:
        """Those of these that could be learned."""
        if self._texts.full:
            return set()
        known = self._texts.known(name, self._known)
        return set() if known is None else set(uids).difference(self._found(known, columns))

    def learn(self, name: str, columns: Columns, documents: Iterable[tuple[int, str]], living: int) -> bool:
        """Add what was read since `unknown` was asked; False: not now."""
        before = self._asked
        if before is None:
            return False
        same = [pair for pair in documents if marks(before, pair[0]) == marks(columns, pair[0])]
        return self._texts.learn(name, columns, same, living)
