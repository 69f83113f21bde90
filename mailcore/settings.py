"""Every setting and every limit, with its unit and its reason, in one table.

A value comes from the command line (`-o name=value`), else from /etc/mailcore.conf (TOML;
read only if it is there), else from the table.  A name that does not exist or a value that
does not parse raises BadSetting, which names the file and the line.
"""

from __future__ import annotations

import os

from mailcore.errors import BadSetting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

CONF = "/etc/mailcore.conf"

KIB = 1024
MIB = 1024 * 1024

# name: (value when nobody says otherwise, what it is)
TABLE: dict[str, tuple[bool | int | float | str, str]] = {
    # where mail is
    "mail_location": ("mbox:~/mail:INBOX=/var/mail/%u", "Dovecot's words; %u user, %h home, ~ home"),
    "index_directory": ("", "where a user's index and journals live; %u %h ~; empty: found by itself"),
    "index_text_octets": (256 * MIB, "ready-made answers that the index keeps for one mailbox; 0: none"),
    "text_index": (False, "keep a text index, so that SEARCH TEXT and BODY read few messages; grows as people search"),
    "text_index_octets": (1024 * MIB, "the text index of one user; when it is full nothing is added"),
    "text_index_step_octets": (8 * MIB, "so much mail one SEARCH adds to the text index"),
    "mailbox_mode": (0o600, "permission bits of a mailbox file we make"),
    "directory_mode": (0o700, "permission bits of a directory we make"),
    "lock_seconds": (60, "how long to try for the locks of a mailbox before giving up"),
    "dotlock_stale_seconds": (300, "a lock file that old, of no living process here, is nobody's"),
    "expunged_days": (0, "expunged messages can come back for so long (mailcore undelete); 0: they are gone"),
    "expunged_octets": (1024 * MIB, "a user's expunged messages together; the oldest days go first"),
    "fsync": (True, "flag changes too are on the disk before their OK, as mail and its removal always are"),
    "flags_at_once": (250, "flags of more messages wait in the index for CHECK, IDLE or the end of the session"),
    "hide_dot_files": (True, "LIST shows no name that starts with a dot"),
    "shared_directory": ("", "mailboxes of a group, read only, as #shared/...; empty: there are none"),
    "public_directory": ("", "mailboxes for everybody, read only, as #public/...; empty: there are none"),
    "other_users_directory": ("", "other users' mailboxes, read only, as ~user/...: /home/%u/mail; empty: not shown"),
    "list_patterns": (100, "patterns of one LIST"),
    "list_depth": (20, "how deep LIST looks into directories"),
    "list_entries": (100_000, "how many directory entries one LIST looks at"),
    "metadata_octets": (16 * KIB, "largest value of METADATA"),
    "metadata_entries": (1000, "values of METADATA that one user may have"),
    "quota_octets": (0, "mail one user may have in all, enforced on APPEND and COPY; 0: no limit of ours"),
    # logging in
    "passwd_file": ("", "accounts from this file in place of PAM"),
    "pam_service": ("", "PAM service name; empty: imap for imapd, pop or pop3 for ipop3d"),
    "pam_open_session": (False, "also open a PAM session (UW never did)"),
    "disable_plaintext_auth": (True, "passwords in clear only under TLS or from this machine"),
    "password_source": ("", "pam or shadow; empty: PAM, and /etc/shadow where there is no libpam"),
    "passwd_file_upgrade": (False, "write a better hash into the passwd-file when a weak one was right"),
    "password_cache": (False, "a listener knows a right password of the passwd-file again, for ten minutes at most"),
    "cram_md5_file": ("/etc/cram-md5.pwd", "clear secrets; its presence turns APOP, CRAM-MD5 and SCRAM on"),
    "cram_md5_only": (True, "where that file is, LOGIN, PLAIN and PASS ask it and nothing else (UW)"),
    "scram_key_file": ("/var/lib/mailcore/.scram-key", "made at need; hides who has no SCRAM verifier"),
    "anonymous_file": ("/etc/anonymous.newsgroups", "its presence allows ANONYMOUS in imapd, with the next"),
    "anonymous_user": ("", "the system user that ANONYMOUS becomes; empty: nobody comes in so"),
    "admin_group": ("mailadm", "whose members may log in as others: user*admin; empty: nobody"),
    "first_valid_uid": (1, "nobody below this uid logs in; root never does"),
    "login_tries": (3, "wrong passwords before the connection ends"),
    "login_delay_seconds": (3.0, "the answer to a wrong password waits so long"),
    "login_timeout_seconds": (180, "the whole time a client has to log in"),
    "login_line_octets": (8 * KIB, "longest line before login"),
    "login_commands": (32, "commands before login"),
    "login_bad_commands": (3, "unknown commands before login after which a client is no mail client"),
    "login_read_octets": (64 * KIB, "all that is read before login"),
    "gatekeeper_user": ("nobody", "who talks to clients before login"),
    "gatekeeper_root": ("/run/mailcore/empty", "an empty directory, made if missing: root directory before login"),
    "gatekeeper_visits": (1, "who lets somebody in may serve so many calls of that address; 1: each has its own"),
    "confine_session": (True, "a session reaches its own mail and nothing else (Landlock, seccomp)"),
    "session_octets": (256 * MIB, "memory a session may allocate; one that needs more ends with BYE"),
    "pop3_preauth": (False, "ipop3d on a pipe starts in the TRANSACTION state as the user who runs it"),
    # changing passwords (poppassd)
    "poppassd_remote": (False, "poppassd also serves other machines, as far as disable_plaintext_auth allows"),
    "new_password_least_octets": (8, "a new password is not shorter"),
    "new_password_most_octets": (200, "a new password is not longer (pam_unix takes no more; bcrypt 72)"),
    # who may come in at all, how often and how fast
    "nologin_file": ("/etc/nologin", "while it is there nobody gets into imapd, and who is there is asked to go (UW)"),
    "hosts_allow": ("/etc/hosts.allow", "who may come (hosts_access(5)); read only if it is there"),
    "hosts_deny": ("/etc/hosts.deny", "who may not, if hosts_allow does not name him"),
    "name_seconds": (10.0, "a host name that a rule asks for is unknown after so long"),
    "run_directory": ("/run/mailcore", "what all processes know together until the next boot; empty: nothing"),
    "user_sessions": (50, "sessions of one user at the same time, over all processes; 0: no cap"),
    "address_sessions": (100, "connections of one IPv4 address or IPv6 /64 at the same time; 0: no cap"),
    "penalty_seconds": (15.0, "the answer to a wrong password waits up to so much longer, by address; 0: never"),
    "penalty_forget_seconds": (60.0, "so long without a wrong password takes one of them away"),
    "spare_local": (True, "address_sessions and penalty_seconds do not count this machine itself"),
    "pop3_login_delay_seconds": (0, "a user's POP3 logins are so far apart (RFC 2449 6.5); 0: not announced"),
    "first_octet_seconds": (30.0, "a TCP client that says nothing at all after the greeting is gone after so long"),
    "sasl_octets": (12 * KIB, "longest SASL response, in base64"),
    "proxy_networks": ("", "proxies that tell the client's address by the PROXY protocol: 10.0.0.1 fd00::/8"),
    "proxy_required": (True, "a connection from proxy_networks without a PROXY header is closed"),
    "proxy_seconds": (5.0, "the PROXY header is complete after so long"),
    "trusted_networks": ("", "front ends that tell the client's address by IMAP ID or POP3 XCLIENT"),
    # TLS
    "tls": (False, "speak TLS at once, whatever the port"),
    "tls_ports": ("", "ports that speak TLS at once, beside those of imaps and pop3s: 2993 3993"),
    "tls_directory": ("", "imapd.pem, ipop3d.pem and their kin lie here; empty: the four usual places"),
    "tls_certificate": ("", "this certificate file, and no search for another"),
    "tls_key": ("", "the key of tls_certificate; empty: in private/ beside it, or in the same file"),
    "tls_client_ca": ("", "clients may log in with certificates of these authorities (a PEM file)"),
    "tls_username_field": ("commonName", "the user's name in a client's certificate; or UID, emailAddress"),
    "tls_names": (100, "imapd-NAME.pem files that are loaded for one certificate directory"),
    "tls_handshake_seconds": (30, "the time a client has for the handshake"),
    "tls_renew_seconds": (14400, "a listener makes new ticket keys, and reads the certificates again, so often"),
    # talking
    "line_octets": (64 * KIB, "longest command line after login, without its literals"),
    "literal_octets": (64 * KIB, "literals of one command together, APPEND's message apart"),
    "literal_count": (20, "literals of one command"),
    "append_octets": (1024 * MIB, "largest message APPEND takes, and all messages of one APPEND together"),
    "message_limit": (0, "messages that one command may be about (RFC 9738: 1000 or more); 0: no limit"),
    "append_messages": (250, "messages of one APPEND, or pieces of one that CATENATE joins"),
    "inflate_ratio": (250, "a client's octets under COMPRESS grow so many times at most, after the first 4 MiB"),
    "literal_minus": (False, "LITERAL-: of literals that do not ask none is longer than 4096 octets (RFC 7888)"),
    "alert_file": ("/etc/imapd.alert", "its lines are told to every client as [ALERT], when they change too (UW)"),
    "user_alert_file": ("~/.imapalert", "the same for one user's clients (UW)"),
    "alert_octets": (4 * KIB, "an alert file is read so far"),
    "bad_commands": (50, "mistakes in a row after which a client is no mail client"),
    "imap_idle_seconds": (1800, "autologout (RFC 3501 5.4: at least 30 minutes)"),
    "pop3_idle_seconds": (600, "autologout (RFC 1939 3: at least 10 minutes)"),
    "literal_seconds": (300, "silence allowed in the middle of a command"),
    "idle_poll_seconds": (60, "IDLE looks by itself this often, where inotify sees nothing (NFS)"),
    "progress_seconds": (10.0, "a long command says that it is not dead so often (RFC 9585 wants 10 to 15); 0: never"),
    "idle_keepalive_seconds": (120, "IDLE says '* OK' this often, for NAT boxes and odd clients"),
    "nesting": (50, "search keys inside each other (UW: 500); an OR in an OR is one list and does not count"),
    "search_mailboxes": (1000, "mailboxes that one ESEARCH or SCAN looks through"),
    "contexts": (20, "searches with RETURN (UPDATE) that one session may have"),
    "notify_mailboxes": (1000, "mailboxes that one session may have watched by NOTIFY"),
    "host_name": ("", "how the server names itself; empty: the machine's own name"),
    "listen_children": (200, "connections one listener serves at the same time"),
    "listen_waiting": (1000, "clients that have said nothing yet; one more, and the longest silent has to go"),
    "session_keep_seconds": (60, "a session's process waits so long for its user's next connection; 0: it ends"),
    "listen_idle_seconds": (60, "a listener whose socket is a super-server's ends after so long without a client"),
    # odd clients
    "lsub_flags": (False, "LSUB says what LIST says of a name: Thunderbird takes others for selectable"),
    "delay_newmail": (False, "new mail is told to NOOP, CHECK and IDLE only: Outlook Express hangs otherwise"),
    "outlook_idle": (False, "IDLE lasts beyond imap_idle_seconds: Outlook never leaves it, and does not come back"),
    "pop3_no_nuls": (False, "RETR and TOP send 0x80 for NUL, as IMAP must: Outlook Express waits for ever at a NUL"),
    "pop3_end_of_header": (False, "a message without one gets an empty line at its end, which its size does not count"),
    # reading mail
    "text_octets": (16 * MIB, "a message up to this size is read in one piece"),
    "header_octets": (1 * MIB, "a header is looked at so far"),
    "mime_depth": (100, "multiparts inside each other; deeper is one opaque part"),
    "mime_parts": (10_000, "parts of a message; the rest is left in the last one"),
    "spool_directory": ("/var/tmp", "a large APPEND waits here, in a file without a name"),
}


class Settings:
    """The values in force, as attributes; unknown names do not exist."""

    def __init__(self, **values: bool | int | float | str) -> None:
        for name, (default, _) in TABLE.items():
            setattr(self, name, values.pop(name, default))
        if values:
            raise BadSetting(f"no such setting: {', '.join(sorted(values))}")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def load(options: Iterable[str] = (), path: str = CONF) -> Settings:
    """The settings of `path`, if it is there, under those of `options` (`name=value` each)."""
    values: dict[str, bool | int | float | str] = {}
    if os.path.exists(path):
        values.update(_file(path))
    for option in options:
        name, equals, text = option.partition("=")
        if not equals:
            raise BadSetting(f"-o {option}: name=value is wanted")
        values[name.strip()] = _parse(name.strip(), text.strip(), f"-o {option}")
    return Settings(**values)


def _file(path: str) -> dict[str, bool | int | float | str]:
    import tomllib

    try:
        with open(path, "rb") as file:
            text = file.read().decode()
        given = tomllib.loads(text)
    except OSError as error:
        raise BadSetting(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path}: {error}") from None
    return {name: _checked(name, value, f"{path}:{_line(text, name)}") for name, value in given.items()}


def _line(text: str, name: str) -> int:
    """The line of `text` that sets `name`."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.split("=")[0].strip().strip("\"'[]") == name:
            return number
    return 1


def _checked(name: str, value: object, where: str) -> bool | int | float | str:
    """`value` if TABLE knows `name` and the kinds agree (an int does for a float)."""
    if name not in TABLE:
        raise BadSetting(f"{where}: no such setting: {name}")
    kind = type(TABLE[name][0])
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise BadSetting(f"{where}: {name} is {_kind(kind)}, not {value!r}")
    if not isinstance(value, (bool, str)) and value < 0:
        raise BadSetting(f"{where}: {name} cannot be negative")
    return value


def _kind(kind: type) -> str:
    return {bool: "true or false", int: "a number", float: "a number", str: "a text"}[kind]


def _parse(name: str, text: str, where: str) -> bool | int | float | str:
    """A value as it is written on a command line."""
    kind = type(TABLE[name][0]) if name in TABLE else str
    value: object = text
    if kind is bool:
        value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), text)
    elif kind is int and text.lower().removeprefix("0o").isdigit():
        value = int(text, 8) if text.lower().startswith("0o") else int(text)
    elif kind is float and text.replace(".", "", 1).isdigit():
        value = float(text)
    return _checked(name, value, where)
