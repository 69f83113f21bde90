"""The extensions of IMAP4rev1: one file for each RFC, and their names in CAPABILITY's order.

An extension adds to the tables of the states (authenticated.command, ...) and to the tables named
after grammar rules (STATUS_ATT, FETCH_ATT, SEARCH_KEY); to add one, write its file and its
line in NAMES.
"""

from __future__ import annotations

from mailcore.login import sasl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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


def load() -> None:
    """Import all of them: after the login."""
    from importlib import import_module

    for module in (*(module for module, _ in NAMES.values()), *UNTOLD):
        if module:
            import_module(f"imapd.extensions.{module}")
