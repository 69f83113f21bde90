"""The index: what is known of mailboxes between sessions, in one SQLite file for each user.

What lives here: what its tables hold, and the home where journals lie too.  What does
not: SQLite's file (database.py), and any truth.  Messages, flags and UIDs are in the mailbox; who
deletes the index, or finds it damaged, loses time (and what is said of strangers' fields in
identity.py: a mailbox that is not known any more is taken over as it is).

A mailbox is one summary row and its columns, each in blobs of 1024 messages (store/columns.py); a
row for each message would cost a hundred times as much to load.  With the row only the UIDs are read,
the other columns when they are asked for.  Texts that were made of messages lie in blobs of their own
(remembered.py), what SEARCH TEXT needs in a file of its own (textindex.py).  Whatever SQLite complains
about is logged once and answered by an index in memory, so that a session never fails here.
"""

from __future__ import annotations

import os
from binascii import crc32

from mailcore import log
from mailcore.store import modseq
from mailcore.store.columns import CHUNK_ROWS, NAMES, NUMBERS, Columns, Stale, unpacked
from mailcore.store.database import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from array import array
    from collections.abc import Iterator, Sequence

    from mailcore.settings import Settings
    from mailcore.store.textindex import TextIndex

SHARED_HOME = "/var/lib/mailcore"
OWN_HOME = ".local/state/mailcore"
NAME = "index.db"
VERSION = 4
TRIES = 20

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mailbox (
    id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, generation INTEGER NOT NULL, checksum INTEGER NOT NULL,
    summary TEXT NOT NULL, messages INTEGER NOT NULL, uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS chunk (
    mailbox INTEGER NOT NULL, field INTEGER NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (mailbox, field, number)
);
CREATE TABLE IF NOT EXISTS text (
    mailbox INTEGER NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (mailbox, kind, number)
);
CREATE TABLE IF NOT EXISTS gone (
    mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, uids TEXT NOT NULL, PRIMARY KEY (mailbox, modseq)
);
"""


class Record:
    """What the index holds of one mailbox.

    `facts` are words without blanks that the format keeps for itself (the file's stamp and the
    like), `counts` numbers that it wants to have without looking at columns (none: not known).
    `keywords` and `word_sets` (bit masks over keywords) belong to the columns.  What is about
    mod-sequences is modseq.py's; `since` is the record as it was saved last, `gone` the UIDs that
    were there then, and of messages gone up to `forgotten_modseq` nothing is known.
    """

    __slots__ = (
        "columns", "counts", "facts", "forgotten_modseq", "generation", "gone", "highest_modseq", "keywords",
        "object_id", "since", "uid_next", "uid_validity", "word_sets",
    )  # fmt: skip

    def __init__(self) -> None:
        self.generation = 0
        self.uid_validity = 0
        self.uid_next = 1
        self.facts: list[str] = []
        self.counts: Sequence[int] = ()
        self.keywords: list[str] = []
        self.word_sets: list[int] = [0]
        self.columns = Columns()
        self.highest_modseq = self.forgotten_modseq = 0
        self.object_id = ""
        self.since: Record | None = None
        self.gone: list[int] = []


def find_home(settings: Settings, user: str, home: str) -> str:
    """Where this user's index and journals live; "" if there is no place."""
    given: str = settings.index_directory
    if given:
        path = given.replace("%u", user).replace("%h", home)
        return _made(home + path[1:] if path.startswith("~") else path)
    shared, own = os.path.join(SHARED_HOME, user), os.path.join(home, OWN_HOME)
    if home and os.path.exists(os.path.join(own, NAME)):
        return own  # from before there was a shared one: its journals must be found
    if user and "/" not in user and user not in (".", "..") and os.path.isdir(shared) and os.access(shared, os.W_OK):
        return shared
    return _made(own) if home and os.path.isdir(home) else ""


def _made(path: str) -> str:
    try:
        os.makedirs(path, 0o700, exist_ok=True)
    except OSError:
        return ""
    return path if os.access(path, os.W_OK | os.X_OK) else ""


class Index(Database):
    """The index of one user, opened when it is first asked."""

    name = NAME
    version = VERSION
    tables = ("mailbox", "chunk", "text", "gone")
    schema = _SCHEMA

    def __init__(self, settings: Settings, user: str, home: str) -> None:
        super().__init__(find_home(settings, user, home))
        # path: generation, and of each column the checksums of the chunks that we know to lie there, by number
        self._saved: dict[str, tuple[int, dict[str, dict[int, bytes]]]] = {}
        self._durable: bool | None = None
        self._settings = settings
        self._full_text: TextIndex | None = None
        if not self.home:
            log.warning("no directory for an index: mailboxes are read only")

    @property
    def full_text(self) -> TextIndex | None:
        """The text index, if it is wanted: by the setting, or because `mailcore index --text` made one."""
        if self._full_text is None and self.lasting:
            from mailcore.store.textindex import NAME, TextIndex

            if self._settings.text_index or os.path.exists(os.path.join(self.home, NAME)):
                self._full_text = TextIndex(self.home, self._settings.text_index_octets)
        return self._full_text

    def close(self) -> None:
        super().close()
        if self._full_text is not None:
            self._full_text.close()

    # --- asking ----------------------------------------------------------------------

    def generation(self, path: str) -> int:
        """Goes up with each save; 0: nothing is known."""
        generation: int = self._asked(lambda db: self._generation(db, path), 0)
        return generation

    @staticmethod
    def _generation(db: sqlite3.Connection, path: str) -> int:
        row = db.execute("SELECT generation FROM mailbox WHERE path = ?", (path,)).fetchone()
        return int(row[0]) if row else 0

    def facts(self, path: str) -> list[str]:
        """The facts of a mailbox; none if it is not known."""
        record = self._asked(lambda db: self._load(db, path), None)
        return record.facts if record else []

    def load(self, path: str) -> Record | None:
        """All that is known of a mailbox, its columns yet to be read; None if that is nothing, or damaged."""
        for _ in range(TRIES):
            record: Record | None = self._asked(lambda db: self._load(db, path), None)
            if record is None or record.columns.have(("uid",)):
                return record  # whose numbers hold whatever others do
        return None

    def _load(self, db: sqlite3.Connection, path: str) -> Record | None:
        row = db.execute("SELECT * FROM mailbox WHERE path = ?", (path,)).fetchone()
        if row is None or crc32(_checked(*row[4:])) != row[3]:
            return None
        record = Record()
        record.generation, record.uid_validity, record.uid_next = row[2], row[6], row[7]
        facts, keywords, sets, numbers, counts = row[4].split("\n")
        highest, forgotten, record.object_id = numbers.split(" ")
        record.highest_modseq, record.forgotten_modseq = int(highest), int(forgotten)
        record.facts = facts.split()
        record.counts = [int(count) for count in counts.split()]
        record.keywords = keywords.split(" ") if keywords else []
        record.word_sets = [int(mask, 16) for mask in sets.split(" ")]
        record.columns = Columns.unread(row[5], _Kept(self, path, row[2], row[5], _limits(record)))
        return record

    def column(self, path: str, generation: int, count: int, name: str, limits: dict[str, int]) -> array[int]:
        """A column of `count` rows as it was saved in that generation.  Raises Stale."""
        column: array[int] | None = self._asked(lambda db: self._read(db, path, generation, name), None)
        if column is None or not _is_sound(name, column, count, limits):
            self._asked(lambda db: self._condemn(db, path, generation), None)
            raise Stale
        return column

    def _read(self, db: sqlite3.Connection, path: str, generation: int, name: str) -> array[int] | None:
        rows = db.execute(
            "SELECT number, data FROM chunk WHERE mailbox = (SELECT id FROM mailbox WHERE path = ? AND generation = ?)"
            " AND field = ? ORDER BY number", (path, generation, NUMBERS[name]),
        ).fetchall()  # fmt: skip
        self._sums(path, generation)[name] = {number: data[:4] for number, data in rows}
        return unpacked(name, [data for _, data in rows])

    def _sums(self, path: str, generation: int) -> dict[str, dict[int, bytes]]:
        """What is known of the chunks that lie there in that generation."""
        if self._saved.get(path, (0,))[0] != generation:
            self._saved[path] = generation, {}
        return self._saved[path][1]

    def end(self, path: str, record: Record) -> Columns | None:
        """The last rows of a record that was loaded or saved.

        None if the index has not just this record, if they are all its rows, or if they are damaged.
        """
        count, generation = len(record.columns), record.generation
        number, limits = (count - 1) // CHUNK_ROWS, _limits(record)
        if number <= 0:
            return None
        columns: Columns | None = self._asked(lambda db: self._read_end(db, path, generation, number), None)
        if columns is None:
            return None
        rows = count - columns.before
        return columns if all(_is_sound(name, getattr(columns, name), rows, limits) for name in NAMES) else None

    def _read_end(self, db: sqlite3.Connection, path: str, generation: int, number: int) -> Columns | None:
        """All columns from a chunk on, which is the last."""
        fields = ", ".join(map(str, NUMBERS.values()))
        rows = db.execute(
            "SELECT field, data FROM chunk WHERE mailbox = (SELECT id FROM mailbox WHERE path = ? AND generation = ?)"
            f" AND field IN ({fields}) AND number = ?", (path, generation, number),
        ).fetchall()  # fmt: skip
        columns, sums = Columns(), self._sums(path, generation)
        columns.before = number * CHUNK_ROWS
        for field, data in rows:
            column = unpacked(NAMES[field], [data], number)
            if column is None:
                return None
            setattr(columns, NAMES[field], column)
            sums.setdefault(NAMES[field], {})[number] = data[:4]
        columns.unsaved.clear()
        return columns

    @staticmethod
    def _condemn(db: sqlite3.Connection, path: str, generation: int) -> None:
        """A mailbox whose columns are damaged is not known any more, to nobody.

        Nothing is changed if it is not of that generation: then they are not damaged, but others.
        """
        db.execute(
            "UPDATE mailbox SET generation = generation + 1, checksum = -1 WHERE path = ? AND generation = ?",
            (path, generation),
        )

    # --- looking at all of it (tools) --------------------------------------------------

    def mailboxes(self) -> list[tuple[str, int, int, int, dict[str, int]]]:
        """Path, messages, uid_validity, uid_next, and octets by kind of text, of each that is known."""

        def look(db: sqlite3.Connection) -> list[tuple[str, int, int, int, dict[str, int]]]:
            sizes = "SELECT kind, sum(length(data)) FROM text WHERE mailbox = ? GROUP BY kind ORDER BY kind"
            rows = db.execute("SELECT path, messages, uid_validity, uid_next, id FROM mailbox ORDER BY path").fetchall()
            return [(*row[:4], dict(db.execute(sizes, row[4:]).fetchall())) for row in rows]

        found: list[tuple[str, int, int, int, dict[str, int]]] = self._asked(look, [])
        return found

    def texts(self, path: str) -> list[tuple[str, int, bytes]]:
        """Kind, number and data of all chunks of texts of a mailbox."""
        question = "SELECT kind, number, data FROM text WHERE mailbox = (SELECT id FROM mailbox WHERE path = ?)"
        rows: list[tuple[str, int, bytes]] = self._asked(lambda db: db.execute(question, (path,)).fetchall(), [])
        return rows

    def messages(self) -> int:
        """How many messages all mailboxes that are known have together."""
        question = "SELECT total(messages) FROM mailbox"
        return int(self._asked(lambda db: db.execute(question).fetchone()[0], 0))

    # --- saving ----------------------------------------------------------------------

    def save(self, path: str, record: Record, durable: bool = False) -> bool:
        """Keep `record`, if nobody saved since its generation (then False); `durable` on the disk, now.

        What changed gets its mod-sequence here.
        """
        try:
            modseq.stamp(path, record)
        except Stale:
            return False
        done: bool | None = self._asked(lambda db: self._save(db, path, record, durable), None)
        if done is None:
            record.generation += 1  # no index any more: the session's memory is all there is
            record.since = None
            return True
        if done:
            record.since = None
            record.columns.settled(record.generation)
        return done

    def _save(self, db: sqlite3.Connection, path: str, record: Record, durable: bool) -> bool:
        if durable is not self._durable:
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        db.execute("BEGIN IMMEDIATE")
        try:
            if self._generation(db, path) != record.generation:
                db.execute("ROLLBACK")
                return False
            self._remember_gone(db, path, record)
            self._write(db, path, record)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        record.generation += 1
        return True

    def _write(self, db: sqlite3.Connection, path: str, record: Record) -> None:
        summary = "\n".join((
            " ".join(record.facts), " ".join(record.keywords), " ".join(f"{mask:x}" for mask in record.word_sets),
            f"{record.highest_modseq} {record.forgotten_modseq} {record.object_id}", " ".join(map(str, record.counts)),
        ))  # fmt: skip
        counts = (summary, record.columns.before + len(record.columns), record.uid_validity, record.uid_next)
        (mailbox,) = db.execute(
            "INSERT INTO mailbox (path, generation, checksum, summary, messages, uid_validity, uid_next)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET generation = excluded.generation,"
            " checksum = excluded.checksum, summary = excluded.summary, messages = excluded.messages,"
            " uid_validity = excluded.uid_validity, uid_next = excluded.uid_next RETURNING id",
            (path, record.generation + 1, crc32(_checked(*counts)), *counts),
        ).fetchone()
        known = self._sums(path, record.generation) if record.generation else {}
        sums = self._write_columns(db, mailbox, record.columns, known)
        self._saved[path] = record.generation + 1, known | sums

    @staticmethod
    def _write_columns(
        db: sqlite3.Connection, mailbox: int, columns: Columns, known: dict[str, dict[int, bytes]]
    ) -> dict[str, dict[int, bytes]]:
        """Write the chunks whose checksum is not what is `known` to lie there; the checksums of what then does."""
        count = -(-(columns.before + len(columns)) // CHUNK_ROWS)
        sums: dict[str, dict[int, bytes]] = {}
        rows, ends = [], []
        for name in columns.unsaved:
            field, there = NUMBERS[name], known.get(name, {})
            now = sums[name] = {number: data for number, data in there.items() if number < count}
            if not there or len(now) < len(there):
                ends.append((mailbox, field, count))
            for number, data in columns.chunks(name):
                if now.get(number) != data[:4]:
                    rows.append((mailbox, field, number, data))
                    now[number] = data[:4]
        db.executemany("INSERT OR REPLACE INTO chunk VALUES (?, ?, ?, ?)", rows)
        db.executemany("DELETE FROM chunk WHERE mailbox = ? AND field = ? AND number >= ?", ends)
        return sums

    # --- texts -----------------------------------------------------------------------

    def text(self, path: str, kind: str, number: int) -> bytes | None:
        """A chunk of texts as remembered.py packed it, if there is one."""
        question = "SELECT data FROM text WHERE mailbox = (SELECT id FROM mailbox WHERE path = ?)"
        row = self._asked(
            lambda db: db.execute(question + " AND kind = ? AND number = ?", (path, kind, number)).fetchone(), None
        )
        return bytes(row[0]) if row else None

    def save_texts(self, path: str, chunks: list[tuple[str, int, bytes]], living: set[int], limit: int) -> None:
        """Keep chunks (kind, number, data) in one transaction; a mailbox has at most `limit` octets of them.

        Chunks whose number is not among the `living` go.  Where the limit is too little, what was not
        asked for now has to go too.
        """

        def save(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            (mailbox,) = db.execute("SELECT id FROM mailbox WHERE path = ?", (path,)).fetchone() or (None,)
            if mailbox is not None:
                db.executemany("DELETE FROM text WHERE mailbox = ? AND kind = ? AND number = ?",
                               [(mailbox, kind, number) for kind, number, _ in chunks])  # fmt: skip
                question = "SELECT DISTINCT number FROM text WHERE mailbox = ?"
                numbers = {number for (number,) in db.execute(question, (mailbox,))}
                db.executemany("DELETE FROM text WHERE mailbox = ? AND number = ?",
                               [(mailbox, number) for number in numbers - living])  # fmt: skip
                more = sum(len(data) for _, _, data in chunks)
                kinds = sorted({kind for kind, _, _ in chunks})
                if self._text_octets(db, mailbox) + more > limit:
                    marks = ", ".join("?" * len(kinds))
                    db.execute(f"DELETE FROM text WHERE mailbox = ? AND kind NOT IN ({marks})", (mailbox, *kinds))
                if self._text_octets(db, mailbox) + more <= limit:
                    db.executemany("INSERT INTO text VALUES (?, ?, ?, ?)", [(mailbox, *chunk) for chunk in chunks])
            db.execute("COMMIT")

        self._asked(save, None)

    def drop_texts(self, path: str) -> None:
        """Forget the texts of a mailbox."""
        question = "DELETE FROM text WHERE mailbox = (SELECT id FROM mailbox WHERE path = ?)"
        self._asked(lambda db: db.execute(question, (path,)).fetchone(), None)

    @staticmethod
    def _text_octets(db: sqlite3.Connection, mailbox: int) -> int:
        (octets,) = db.execute("SELECT total(length(data)) FROM text WHERE mailbox = ?", (mailbox,)).fetchone()
        return int(octets)

    # --- messages that are gone --------------------------------------------------------

    def gone_since(self, path: str, modseq: int) -> list[int]:
        """The UIDs of messages that went after a mod-sequence, as far as they are remembered; ascending."""
        rows = self._asked(
            lambda db: db.execute(
                "SELECT uids FROM gone JOIN mailbox ON id = mailbox WHERE path = ? AND modseq > ?", (path, modseq)
            ).fetchall(),
            [],
        )
        return sorted({uid for (uids,) in rows for uid in _uids(uids)})

    @staticmethod
    def _remember_gone(db: sqlite3.Connection, path: str, record: Record) -> None:
        """Keep which messages went with this save, and forget the oldest if that is too much."""
        if not record.gone and record.forgotten_modseq != record.highest_modseq:
            return
        found = db.execute("SELECT id FROM mailbox WHERE path = ?", (path,)).fetchone()
        if found is None:
            return
        if record.forgotten_modseq == record.highest_modseq:  # numbered for the first time
            db.execute("DELETE FROM gone WHERE mailbox = ?", found)
        if not record.gone:
            return
        row = (*found, record.highest_modseq, _spans(record.gone))
        db.execute("INSERT OR REPLACE INTO gone VALUES (?, ?, ?)", row)
        octets = 0
        for number, length in db.execute(
            "SELECT modseq, length(uids) FROM gone WHERE mailbox = ? ORDER BY modseq DESC", found
        ).fetchall():
            octets += length
            if octets > modseq.GONE_OCTETS:
                record.forgotten_modseq = number
                db.execute("DELETE FROM gone WHERE mailbox = ? AND modseq <= ?", (*found, number))
                return

    # --- names -----------------------------------------------------------------------

    def forget(self, path: str) -> None:
        """A mailbox was deleted; only its uid_validity stays, for the next of that name to exceed it."""

        def forget(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            self._bury(db, path, self._validity(db, path))
            db.execute("COMMIT")

        self._asked(forget, None)

    def renamed(self, old: str, new: str) -> None:
        """A mailbox has another path now; both names keep from using a uid_validity twice."""

        def rename(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            moved, former, generation = self._validity(db, old), self._validity(db, new), self._generation(db, old)
            if moved > former:
                for table in ("chunk", "text", "gone"):
                    db.execute(f"DELETE FROM {table} WHERE mailbox = (SELECT id FROM mailbox WHERE path = ?)", (new,))
                db.execute("DELETE FROM mailbox WHERE path = ?", (new,))
                db.execute("UPDATE mailbox SET path = ? WHERE path = ?", (new, old))
            else:
                self._bury(db, new, former)  # whoever knew `new` must not take these messages for those
            self._bury(db, old, moved, generation)
            db.execute("COMMIT")

        self._asked(rename, None)
        self._saved.pop(old, None)
        self._saved.pop(new, None)

    @staticmethod
    def _validity(db: sqlite3.Connection, path: str) -> int:
        row = db.execute("SELECT uid_validity FROM mailbox WHERE path = ?", (path,)).fetchone()
        return int(row[0]) if row else 0

    def _bury(self, db: sqlite3.Connection, path: str, uid_validity: int, generation: int = 0) -> None:
        """Leave nothing of a mailbox but a uid_validity: a record without facts is taken over anew."""
        if not uid_validity:
            return
        record = Record()
        record.generation, record.uid_validity = self._generation(db, path) or generation, uid_validity
        self._write(db, path, record)
        for table in ("text", "gone"):
            db.execute(f"DELETE FROM {table} WHERE mailbox = (SELECT id FROM mailbox WHERE path = ?)", (path,))


def _limits(record: Record) -> dict[str, int]:
    """What the numbers of some columns are below."""
    sets = len(record.word_sets)
    return {"uid": record.uid_next, "words": sets, "filed_words": sets, "modseq": record.highest_modseq + 1}


def _is_sound(name: str, column: array[int], count: int, limits: dict[str, int]) -> bool:
    """Are these so many numbers, and all of them possible?  UIDs ascend."""
    last = max(column[-1:] if name == "uid" else column, default=-1) if name in limits else -1
    return len(column) == count and last < limits.get(name, 0)


class _Kept:
    """Reads columns of `count` rows, all below their limits, as they were saved in a generation.  Raises Stale."""

    __slots__ = ("_count", "_index", "_limits", "_path", "generation")

    def __init__(self, index: Index, path: str, generation: int, count: int, limits: dict[str, int]) -> None:
        self._index, self._path, self.generation, self._count, self._limits = index, path, generation, count, limits

    def __call__(self, name: str) -> array[int]:
        return self._index.column(self._path, self.generation, self._count, name, self._limits)


def _checked(summary: str, messages: int, uid_validity: int, uid_next: int) -> bytes:
    """What the checksum of a summary row is made of: SQLite itself has none."""
    return f"{summary}\n{messages} {uid_validity} {uid_next}".encode()


def _spans(uids: Sequence[int]) -> str:
    """Ascending UIDs as `first-last` in hex, a blank between."""
    spans: list[list[int]] = []
    for uid in uids:
        if spans and spans[-1][1] == uid - 1:
            spans[-1][1] = uid
        else:
            spans.append([uid, uid])
    return " ".join(f"{first:x}-{last:x}" if first != last else f"{first:x}" for first, last in spans)


def _uids(spans: str) -> Iterator[int]:
    for span in spans.split():
        first, _, last = span.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)
