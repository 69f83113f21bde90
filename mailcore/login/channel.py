"""What the processes of a login say to each other: frames on a UNIX SEQPACKET socket.

What lives here: the frames and what they carry (`Question`, `Verdict`, `Entry`).  What does
not: deciding anything (monitor.py, checker.py).

A frame is one packet of at most FRAME_OCTETS: one octet says its kind, one how many fields
follow, and each field is two octets of length and its bytes.  The gatekeeper hears strangers,
so the monitor reads every frame as if a stranger had written it: an unknown kind, a wrong
number of fields, a length that does not fit raise `Forged`, and the connection is over.

    gatekeeper → monitor   a question, see QUESTIONS
                           H method, octets of tag, state and read-ahead; then those in A frames
                           F reason               the client is gone
                           L                      it wants TLS; this gatekeeper is done
                           G with a pidfd         a gatekeeper that the keykeeper forked is there
                           T id text              our own code failed
    monitor → gatekeeper   V right name code text data alert…
    checker → monitor      R user right name uid gid home location code text override data kept alert…
"""

from __future__ import annotations

import _socket
import select

from mailcore.login.accounts import Account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FRAME_OCTETS = 4096
PIECE_OCTETS = 4000  # of an entry in one frame

HAND_OVER, PIECE, FAREWELL, TROUBLE, VERDICT, REPORT = b"H", b"A", b"F", b"T", b"V", b"R"
STARTTLS, POSTED = b"L", b"G"

STATE_OCTETS = 2048  # the largest `state` of an entry
NAME_OCTETS = 256  # of a name that a report or a challenge carries
NONCE_OCTETS = 512  # of a SCRAM client's nonce; they have 24 to 64


class Kind:
    """One kind of question: how it is framed, who answers it, and when it may come.

    checked     it touches a secret or a hash: a checker, forked for it, takes it from the channel
    needs       the source (sources.py) that this host must have; "" none
    after       the question that must have come just before, "" none: a challenge is proved once
    challenge   its answer is bytes for the client, no verdict
    """

    __slots__ = ("octet", "fields", "checked", "needs", "after", "challenge")

    def __init__(
        self,
        octet: bytes,
        fields: int,
        checked: bool = False,
        needs: str = "",
        after: str = "",
        challenge: bool = False,
    ) -> None:
        self.octet = octet
        self.fields = fields
        self.checked = checked
        self.needs = needs
        self.after = after
        self.challenge = challenge


QUESTIONS = {
    "password": Kind(b"P", 2, checked=True),  # user, password
    "change": Kind(b"G", 3, checked=True, needs="change"),  # user, old password, new one (poppassd only)
    "external": Kind(b"E", 1),  # authzid: the running user himself, on his own pipe
    "certificate": Kind(b"X", 2, checked=True, needs="authorities"),  # authzid, the client's certificate (DER)
    "anonymous": Kind(b"Y", 1, needs="anonymous"),  # what he says of himself
    "apop": Kind(b"O", 2, checked=True, needs="stamp"),  # user, digest of the greeting's stamp
    "stamp": Kind(b"S", 0, needs="secrets", challenge=True),
    "cram-md5": Kind(b"C", 2, checked=True, needs="secrets", after="stamp"),  # user, digest
    "scram": Kind(b"M", 3, checked=True, needs="verifiers", challenge=True),  # mechanism, user, nonce
    "scram-proof": Kind(b"N", 3, checked=True, needs="verifiers", after="scram"),  # both bare messages, proof
    "forwarded": Kind(b"W", 5),  # address, port, secure, how, session: a front end says whose connection this is
    "void": Kind(b"Z", 2),  # user or b"", VOIDS: nothing to judge, only for the log
}
VOIDS = (b"failed", b"disabled")  # the client gave up or spoke no sense; a password in clear where none may be said
KINDS = {kind.octet: name for name, kind in QUESTIONS.items()}
PASSWORD, EXTERNAL, CHANGE, FORWARDED = (
    QUESTIONS[name].octet for name in ("password", "external", "change", "forwarded")
)


class Forged(Exception):
    """A frame that our own code would never send."""


class Question:
    """What only the monitor can answer; a server's handler yields it and gets a Verdict."""

    __slots__ = ("kind", "fields")

    def __init__(self, kind: str, fields: tuple[bytes, ...]) -> None:
        self.kind = kind
        self.fields = fields


class StartTLS:
    """What a conversation before login returns when the client has been told to begin with TLS."""

    __slots__ = ()


class Verdict:
    """The monitor's word.

    code     a response code (RFC 5530) without brackets; LIMIT after too many tries; or ""
    text     for the client; "" lets the server choose its words
    alerts   messages a person should see (PAM's), one line each
    data     what a mechanism tells the client: a challenge, the server's signature
    override the administrator who is right, but wants (right) or may not (wrong) be another user; for the log
    """

    __slots__ = ("right", "account", "code", "text", "alerts", "data", "override")

    def __init__(
        self,
        right: bool,
        account: Account | None = None,
        code: str = "",
        text: str = "",
        alerts: Iterable[str] = (),
        data: bytes = b"",
        override: str = "",
    ) -> None:
        self.right = right
        self.account = account
        self.code = code
        self.text = text
        self.alerts = list(alerts)
        self.data = data
        self.override = override


class Entry:
    """What a conversation before login leaves to the one after it.

    In the gatekeeper `account` is no more than a name; the monitor puts its own in place.
    """

    __slots__ = ("account", "tag", "read_ahead", "state", "method")

    def __init__(
        self, account: Account, tag: bytes = b"", read_ahead: bytes = b"", state: bytes = b"", method: str = "LOGIN"
    ) -> None:
        self.account = account
        self.tag = tag
        self.read_ahead = read_ahead
        self.state = state
        self.method = method


class Bundle:
    """An entry on its way in, piece by piece."""

    __slots__ = ("_account", "_method", "_octets", "_pieces")

    def __init__(self, account: Account, method: str, octets: list[int]) -> None:
        self._account = account
        self._method = method
        self._octets = octets  # of tag, state and read-ahead
        self._pieces = bytearray()

    @property
    def whole(self) -> bool:
        return len(self._pieces) == sum(self._octets)

    def take(self, source: Channel) -> None:
        """The next piece, or Forged; EOFError when nobody is there."""
        piece = source.receive(PIECE, 1)[0]
        if not piece or len(self._pieces) + len(piece) > sum(self._octets):
            raise Forged("a piece that does not fit")
        self._pieces += piece

    def entry(self) -> Entry:
        tag, state, _ = self._octets
        whole = bytes(self._pieces)
        return Entry(self._account, whole[:tag], whole[tag + state :], whole[tag : tag + state], self._method)


class Channel:
    """One end; whole frames go in and come out."""

    __slots__ = ("_sock",)

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def send(self, kind: bytes, *fields: bytes) -> None:
        """Send one frame; OSError when nobody is at the other end."""
        self._sock.send(pack(kind, fields), _socket.MSG_NOSIGNAL)

    def has_spoken(self) -> bool:
        """A frame is there to be read, or the other end is gone."""
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def peek(self) -> bytes:
        """The kind of the next frame, which stays there; b"" when the other end is gone."""
        try:
            return self._sock.recv(1, _socket.MSG_PEEK)
        except ConnectionError:
            return b""

    def discard(self) -> None:
        """Take the next frame away unread, but for its kind."""
        self._sock.recv(1)

    def receive(self, kind: bytes, least: int, most: int = 0) -> list[bytes]:
        """The fields of the next frame, which must be of this kind and have so many fields."""
        space = bytearray(FRAME_OCTETS + 1)
        try:
            octets = self._sock.recv_into(space)
        except ConnectionError:
            octets = 0
        if not octets:
            raise EOFError("the other end is gone")
        frame = bytes(space[:octets])
        space[:octets] = bytes(octets)  # a password does not stay where the C library's memory was
        return unpack(frame, kind, least, most or least)

    def send_parcel(self, data: bytes, fds: Sequence[int]) -> None:
        """One packet with descriptors (parcel.py); OSError when it cannot be taken at once."""
        from mailcore.login import parcel

        parcel.send(self._sock, data, fds)

    def receive_parcel(self, octets: int, most: int) -> tuple[bytes, list[int]]:
        """What comes so, waiting for it."""
        from mailcore.login import parcel

        return parcel.receive(self._sock, octets, most)

    # --- the gatekeeper's side -----------------------------------------------------------

    def ask(self, question: Question) -> Verdict:
        """Put a question to the monitor and wait for its verdict."""
        kind = QUESTIONS[question.kind]
        if len(question.fields) != kind.fields:
            raise ValueError(f"{question.kind} has {kind.fields} fields")
        if sum(map(len, question.fields)) > PIECE_OCTETS:
            question = Question(question.kind, (b"",) * kind.fields)  # as wrong as it can be, and as slow
        self.send(kind.octet, *question.fields)
        right, name, code, text, data, *alerts = self.receive(VERDICT, 5, 32)
        account = Account(name.decode("utf-8", "surrogateescape")) if right == b"1" else None
        told = [alert.decode() for alert in alerts]
        return Verdict(right == b"1", account, code.decode(), text.decode(), told, data)

    def hand_over(self, entry: Entry) -> None:
        """Give the entry to the monitor, in as many frames as it takes."""
        parts = (entry.tag, entry.state, entry.read_ahead)
        self.send(HAND_OVER, entry.method.encode(), *(b"%d" % len(part) for part in parts))
        whole = b"".join(parts)
        for start in range(0, len(whole), PIECE_OCTETS):
            self.send(PIECE, whole[start : start + PIECE_OCTETS])

    # --- the monitor's side --------------------------------------------------------------

    def answer(self, verdict: Verdict) -> None:
        """Tell the gatekeeper no more than its conversation needs; one that does not read is gone (OSError)."""
        name = verdict.account.name if verdict.account else ""
        words = _word(verdict.right, name, verdict.code, verdict.text)
        frame = pack(VERDICT, (*words, verdict.data, *_alerts(verdict)))
        self._sock.send(frame, _socket.MSG_NOSIGNAL | _socket.MSG_DONTWAIT)

    def take_over(self, account: Account, limits: tuple[int, int, int]) -> Bundle:
        """The beginning of an entry, not larger than `limits` (tag, state, read-ahead octets)."""
        method, *sizes = self.receive(HAND_OVER, 4)
        if len(method) > 32 or not method.isascii():
            raise Forged("no method")
        octets = [number(size, limit) for size, limit in zip(sizes, limits, strict=True)]
        return Bundle(account, method.decode(), octets)

    # --- the checker's side, and who reads it ----------------------------------------------

    def report(self, tried: str, verdict: Verdict, kept: bytes = b"") -> None:
        """Tell the monitor who tried, all about the account, and what to keep for the next question."""
        account = verdict.account or Account("")
        about = (account.name, account.uid, account.gid, account.home, account.location)
        words = _word(tried[:NAME_OCTETS], verdict.right, *about, verdict.code, verdict.text, verdict.override)
        self.send(REPORT, *words, verdict.data, kept, *_alerts(verdict))

    def read_report(self) -> tuple[str, Verdict, bytes]:
        """Who tried, the verdict, and what to keep."""
        fields = self.receive(REPORT, 12, 40)
        data, kept = fields[10:12]
        tried, right, name, uid, gid, home, location, code, text, override, *alerts = (
            field.decode("utf-8", "surrogateescape") for field in fields[:10] + fields[12:]
        )
        account = Account(name, int(uid), int(gid), home, location) if right == "1" else None
        return tried, Verdict(right == "1", account, code, text, alerts, data, override), kept


def pair() -> tuple[Channel, Channel]:
    """The two ends of a new channel."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
    return Channel(ours), Channel(theirs)


def at(fd: int) -> Channel:
    """The end that a descriptor is."""
    return Channel(_socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd))


def pack(kind: bytes, fields: Iterable[bytes]) -> bytes:
    """One frame."""
    fields = tuple(fields)
    frame = kind + bytes([len(fields)]) + b"".join(len(field).to_bytes(2, "big") + field for field in fields)
    if len(frame) > FRAME_OCTETS:
        raise ValueError(f"frame of {len(frame)} octets")
    return frame


def unpack(frame: bytes, kind: bytes, least: int, most: int) -> list[bytes]:
    """The fields of a frame, or Forged."""
    if len(frame) > FRAME_OCTETS or len(frame) < 2 or frame[:1] != kind or not least <= frame[1] <= most:
        raise Forged("not the frame that may come now")
    fields, at = [], 2
    for _ in range(frame[1]):
        end = at + 2 + int.from_bytes(frame[at : at + 2], "big")
        if at + 2 > len(frame) or end > len(frame):
            raise Forged("a field longer than its frame")
        fields.append(frame[at + 2 : end])
        at = end
    if at != len(frame):
        raise Forged("more than its fields")
    return fields


def number(digits: bytes, limit: int) -> int:
    """A decimal number up to `limit`, or Forged."""
    if not (digits.isdigit() and digits.isascii() and len(digits) <= 9) or int(digits) > limit:
        raise Forged("a number out of range")
    return int(digits)


def _word(*values: str | int | bool) -> list[bytes]:
    return [value.encode("utf-8", "surrogateescape") if isinstance(value, str) else b"%d" % value for value in values]


def _alerts(verdict: Verdict) -> list[bytes]:
    return [alert.encode("ascii", "replace")[:200] for alert in verdict.alerts[:5]]
