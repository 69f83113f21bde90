"""The extensions of IMAP4rev1: one file for each RFC, and their names in CAPABILITY's order.

An extension adds to the tables of the states (authenticated.command, ...) and to the tables named
after grammar rules (STATUS_ATT, FETCH_ATT, SEARCH_KEY); to add one, write its file, its
line in NAMES, and in WORDS what it adds: a session imports it when a client first says one of those.
"""

from __future__ import annotations

from mailcore.login import sasl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imapd.session import Session
    from mailcore.settings import Settings

BEFORE, AFTER, ALWAYS = "before login", "after login", "always"

# capability: (the module here that makes it true, "" where it is part of another; when it is told)
NAMES = {
    "IMAP4rev2": ("imap4rev2", ALWAYS),  # RFC 9051; for who says ENABLE IMAP4rev2
    "LITERAL+": ("", ALWAYS),  # RFC 7888: intake.py (and who speaks LITERAL- is content with it)
    "SASL-IR": ("", BEFORE),  # RFC 4959: unauthenticated.py
    "ID": ("id", ALWAYS),  # RFC 2971
    "ENABLE": ("enable", ALWAYS),  # RFC 5161
    "IDLE": ("idle", AFTER),  # RFC 2177
    "NAMESPACE": ("namespace", AFTER),  # RFC 2342
    "CHILDREN": ("", AFTER),  # RFC 3348: the store's LIST
    "UNSELECT": ("unselect", AFTER),  # RFC 3691
    "UIDPLUS": ("uidplus", AFTER),  # RFC 4315; the codes are told by APPEND and COPY
    "MOVE": ("move", AFTER),  # RFC 6851
    "MULTIAPPEND": ("", AFTER),  # RFC 3502: incoming.py
    "CATENATE": ("catenate", AFTER),  # RFC 4469
    "URL-PARTIAL": ("", AFTER),  # RFC 5550 §3.1: catenate.py
    "REPLACE": ("replace", AFTER),  # RFC 8508
    "BINARY": ("binary", AFTER),  # RFC 3516; literal8 in APPEND: incoming.py
    "UTF8=ACCEPT": ("utf8", AFTER),  # RFC 9755
    "COMPRESS=DEFLATE": ("compress", AFTER),  # RFC 4978
    "PREVIEW": ("preview", AFTER),  # RFC 8970
    "LIST-EXTENDED": ("listextended", AFTER),  # RFC 5258
    "LIST-STATUS": ("liststatus", AFTER),  # RFC 5819
    "STATUS=SIZE": ("statussize", AFTER),  # RFC 8438
    "SPECIAL-USE": ("specialuse", AFTER),  # RFC 6154
    "CREATE-SPECIAL-USE": ("", AFTER),  # RFC 6154: specialuse.py
    "LIST-MYRIGHTS": ("listmyrights", AFTER),  # RFC 8440
    "ACL": ("acl", AFTER),  # RFC 4314
    "RIGHTS=texk": ("", AFTER),  # RFC 4314: acl.py
    "QUOTA": ("quota", AFTER),  # RFC 9208
    "QUOTA=RES-STORAGE": ("", AFTER),  # RFC 9208: quota.py
    "METADATA": ("metadata", AFTER),  # RFC 5464
    "LIST-METADATA": ("listmetadata", AFTER),  # RFC 9590
    "APPENDLIMIT": ("", AFTER),  # RFC 7889: authenticated.py, the setting append_octets
    "LOGIN-REFERRALS": ("", BEFORE),  # RFC 2221: none is ever given
    "MAILBOX-REFERRALS": ("referrals", AFTER),  # RFC 2193
    "INPROGRESS": ("inprogress", AFTER),  # RFC 9585
    "CONDSTORE": ("condstore", AFTER),  # RFC 7162
    "QRESYNC": ("qresync", AFTER),  # RFC 7162
    "NOTIFY": ("notify", AFTER),  # RFC 5465
    "OBJECTID": ("objectid", AFTER),  # RFC 8474
    "SAVEDATE": ("savedate", AFTER),  # RFC 8514
    "UIDONLY": ("uidonly", AFTER),  # RFC 9586
    "UIDBATCHES": ("uidbatches", AFTER),  # RFC 10022
    "MESSAGELIMIT": ("messagelimit", AFTER),  # RFC 9738
    "ESEARCH": ("esearch", AFTER),  # RFC 4731
    "SEARCHRES": ("searchres", AFTER),  # RFC 5182
    "PARTIAL": ("partial", AFTER),  # RFC 9394
    "WITHIN": ("within", AFTER),  # RFC 5032
    "SORT": ("sort", AFTER),  # RFC 5256
    "SORT=DISPLAY": ("display", AFTER),  # RFC 5957
    "ESORT": ("", AFTER),  # RFC 5267 §3: sort.py
    "CONTEXT=SEARCH": ("context", AFTER),  # RFC 5267
    "CONTEXT=SORT": ("", AFTER),  # RFC 5267: context.py
    "THREAD=REFERENCES": ("thread", AFTER),  # RFC 5256
    "THREAD=ORDEREDSUBJECT": ("", AFTER),  # RFC 5256: thread.py
    "THREAD=REFS": ("", AFTER),  # draft-ietf-morg-inthread: thread.py
    "SEARCH=FUZZY": ("fuzzy", AFTER),  # RFC 6203
    "MULTISEARCH": ("multisearch", AFTER),  # RFC 7377
    "SCAN": ("scan", AFTER),  # UW
    "I18NLEVEL=1": ("", AFTER),  # RFC 5255: i;unicode-casemap in mailcore/message/casemap.py
}


# names that settings have a say in
SPELLED: dict[str, Callable[[Settings], str]] = {
    "LITERAL+": lambda settings: "LITERAL-" if settings.literal_minus else "LITERAL+",
    "APPENDLIMIT": lambda settings: f"APPENDLIMIT={settings.append_octets}",
    "MESSAGELIMIT": lambda settings: f"MESSAGELIMIT={settings.message_limit}",
}
# names that are true only with some settings
IF: dict[str, Callable[[Settings], bool]] = {
    "INPROGRESS": lambda settings: bool(settings.progress_seconds),
    "MESSAGELIMIT": lambda settings: bool(settings.message_limit),
}
UNTOLD = ("imap2bis",)  # extensions without a name

# module: the words that bring it in: every key that it adds to a table, and behind "+" what else cannot do without it
WORDS = {
    "acl": "MYRIGHTS GETACL LISTRIGHTS SETACL DELETEACL",
    "binary": "BINARY BINARY.PEEK BINARY.SIZE",
    "catenate": "CATENATE",
    "compress": "COMPRESS",
    "condstore": "CONDSTORE HIGHESTMODSEQ MODSEQ CHANGEDSINCE",
    "context": "UPDATE CONTEXT CANCELUPDATE",
    "display": "DISPLAYFROM DISPLAYTO",
    "enable": "ENABLE",
    "esearch": "MIN MAX ALL COUNT + RETURN ESEARCH IMAP4REV2",  # IMAP4rev2 answers every SEARCH so
    "fuzzy": "FUZZY RELEVANCY",
    "idle": "IDLE",
    "imap2bis": "BBOARD FIND SUBSCRIBE UNSUBSCRIBE RFC822.PEEK RFC822.TEXT.PEEK RFC822.HEADER.LINES "
    "RFC822.HEADER.LINES.NOT",
    "imap4rev2": "IMAP4REV2",
    "inprogress": "",  # session.py has it from the start
    "listextended": "SUBSCRIBED CHILDREN REMOTE",
    "listmetadata": "METADATA",
    "listmyrights": "MYRIGHTS",
    "liststatus": "STATUS",
    "messagelimit": "UIDAFTER UIDBEFORE",
    "metadata": "GETMETADATA SETMETADATA",
    "move": "MOVE",
    "multisearch": "ESEARCH",
    "namespace": "NAMESPACE",
    "notify": "NOTIFY",
    "objectid": "MAILBOXID EMAILID THREADID",
    "partial": "PARTIAL",
    "preview": "PREVIEW",
    "qresync": "QRESYNC VANISHED",
    "quota": "GETQUOTA GETQUOTAROOT SETQUOTA",
    "referrals": "RLIST RLSUB",
    "replace": "REPLACE",
    "savedate": "SAVEDATE SAVEDATESUPPORTED SAVEDBEFORE SAVEDON SAVEDSINCE",
    "scan": "SCAN",
    "searchres": "SAVE $",
    "sort": "SORT",
    "specialuse": "SPECIAL-USE USE XLIST + LIST RLIST",  # marks come with every LIST
    "statussize": "SIZE DELETED",
    "thread": "THREAD",
    "uidbatches": "UIDBATCHES",
    "uidonly": "UIDONLY",
    "uidplus": "EXPUNGE",
    "unselect": "UNSELECT",
    "utf8": "UTF8=ACCEPT UTF8",
    "within": "OLDER YOUNGER",
}


def capabilities(session: Session) -> str:
    """What CAPABILITY lists (RFC 3501 §7.2.1): only what is true, and now."""
    untold = AFTER if session.stranger else BEFORE
    true = [name for name, (_, when) in NAMES.items() if when != untold and IF.get(name, bool)(session.settings)]
    words = ["IMAP4rev1", *(_spelled(session, name) for name in true)]
    if session.stranger:
        words += ["STARTTLS"] * session.peer.starttls
        words += [f"AUTH={name}" for name in sasl.offered(session.settings, session.peer, "imap")]
        if not sasl.plaintext_allowed(session.settings, session.peer):
            words.append("LOGINDISABLED")
    return " ".join(words)


def _spelled(session: Session, name: str) -> str:
    return SPELLED[name](session.settings) if name in SPELLED else name


# what words here are made of, in upper case; all other octets divide them
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-=$abcdefghijklmnopqrstuvwxyz"
_OTHERS = bytes(range(256)).translate(None, _LETTERS)
_SPELLING = bytes.maketrans(_LETTERS + _OTHERS, _LETTERS.upper() + b" " * len(_OTHERS))


class Awaited:
    """Extensions that are not imported yet."""

    __slots__ = ("_modules",)

    def __init__(self) -> None:
        self._modules: dict[str, list[str]] | None = None  # by word; None: not looked at yet

    def need(self, line: bytes) -> None:
        """Import what a line of a command may speak of; a word too many costs time and no more."""
        if self._modules is None:
            self._modules = _by_word()
        if self._modules:
            for word in self._modules.keys() & line.translate(_SPELLING).decode("ascii").split():
                _import(self._modules.pop(word))

    def load(self) -> None:
        """Import all."""
        self._modules = {}
        _import([module for module, _ in NAMES.values() if module])
        _import(UNTOLD)


def _by_word() -> dict[str, list[str]]:
    modules: dict[str, list[str]] = {}
    for module, words in WORDS.items():
        for word in words.replace("+", "").split():
            modules.setdefault(word, []).append(module)
    return modules


def _import(modules: Iterable[str]) -> None:
    from importlib import import_module

    for module in modules:
        import_module(f"imapd.extensions.{module}")


awaited = Awaited()
