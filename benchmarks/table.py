"""The table of issue and README: our figure, the peer's in the same run, their ratio, and what was promised.

UW-IMAP is in no Debian since 11, so it cannot run here.  Where a target names it, its figure is Dovecot's of this run
times what UW took for each second of Dovecot's when both were measured side by side (UW 2007f and Dovecot 2.3.19 on
the same machine); such a peer is written `~UW`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

Figures = dict[str, dict[str, float]]  # of each server, by name
Peer = Callable[[Figures, str], float]


def dovecot(figures: Figures, name: str) -> float:
    return figures["dovecot"][name]


def tuned(figures: Figures, name: str) -> float:
    return figures["tuned"][name]


def maildir(figures: Figures, name: str) -> float:
    return figures["maildir"][name]


def repeated_text(figures: Figures, name: str) -> float:
    """Dovecot's search for another string: it looks at everything, whatever the string."""
    return figures["dovecot"]["text repeated cpu"]


def without_index(figures: Figures, name: str) -> float:
    return figures["ours"][f"without {name}"]


def uw(per_dovecot: float) -> Peer:
    def peer(figures: Figures, name: str) -> float:
        return figures["dovecot"][name] * per_dovecot

    return peer


def best(per_dovecot: float) -> Peer:
    """The better of Dovecot and UW."""
    return uw(min(1.0, per_dovecot))


def limit(value: float) -> Peer:
    """No peer: a number to stay below."""
    return lambda figures, name: value


class Row:
    """One line: `figure` of `who` is at most, or where more is better at least, `target` times the peer's.

    Without a target it is told, and not judged.
    """

    def __init__(
        self, work: str, figure: str, peer: Peer, peer_name: str, target: float | None, unit: str = "ms", *,
        who: str = "ours", more: bool = False,
    ) -> None:  # fmt: skip
        self.work, self.figure, self.peer, self.peer_name, self.target = work, figure, peer, peer_name, target
        self.unit, self.who, self.more = unit, who, more

    def judge(self, figures: Figures) -> dict[str, Any] | None:
        """None where one of the figures was not measured."""
        try:
            ours, theirs = figures[self.who][self.figure], self.peer(figures, self.figure)
        except KeyError:
            return None
        ratio = ours / theirs
        met = None if self.target is None else ratio >= self.target if self.more else ratio <= self.target
        scale = 1000 if self.unit == "ms" else 1
        return {
            "work": self.work, "unit": self.unit, "ours": ours * scale, "peer": theirs * scale, "of": self.peer_name,
            "ratio": ratio, "target": self.target, "more": self.more, "met": met,
        }  # fmt: skip


def rows(size: str, large: str) -> list[Row]:
    """`size` stands for M, and `large` for L, "" without it."""
    found = [
        Row("IMAP session, warm", "session imap cpu", uw(0.87), "~UW", 0.5),
        Row("IMAP session, warm", "session imap cpu", tuned, "Dovecot tuned", 1.0),
        Row("IMAP session, warm, tuned", "session imap cpu", uw(0.87), "~UW", 0.5, who="ours tuned"),
        Row("IMAP session, warm, tuned", "session imap cpu", tuned, "Dovecot tuned", 1.0, who="ours tuned"),
        Row("IMAPS session, warm", "session imaps cpu", uw(0.92), "~UW", 0.5),
        Row("IMAPS session, warm", "session imaps cpu", tuned, "Dovecot tuned", 1.2),
        Row("greeting, cold, on a pipe", "pipe", lambda f, _: f["bare"]["pipe"], "bare python3 -IS", 1.7),
        Row("greeting, cold, on a socket", "socket", lambda f, _: f["bare"]["pipe"], "bare python3 -IS", 2.2),
        Row("IMAP session, cold", "session imap cpu", uw(0.87), "~UW", 2.5, who="cold"),
        Row("sessions/s, 8 at once, warm", "rate", uw(1.40), "~UW", 1.5, "/s", more=True),
        Row("sessions/s, 8 at once, warm, tuned", "rate", uw(1.40), "~UW", 1.5, "/s", who="ours tuned", more=True),
    ]
    for one in filter(None, (size, large)):
        old = {"L": (0.76, 0.91, 0.42)}.get(one, (0.44, 0.97, 0.45))
        found += [
            Row(f"SELECT never opened, {one}", f"select never {one} cpu", uw(old[0]), "~UW", 0.5),
            Row(f"SELECT again, {one}", f"select again {one} cpu", dovecot, "Dovecot", 1.0),
            Row(f"SELECT after a delivery, {one}", f"select delivered {one} cpu", best(old[1]), "best mbox", 0.05),
            Row(f"… and LOGOUT, {one}", f"delivered {one} cpu", best(old[2]), "best mbox", 0.05),
        ]
    for what, name, first, new in (
        ("flags", "FETCH FLAGS UID DATE SIZE", 0.017, 0.5), ("envelope", "ENVELOPE", 0.45, 0.5),
        ("structure", "BODYSTRUCTURE", 1.19, 1.0), ("fields", "HEADER.FIELDS", 2.8, 1.0),
    ):  # fmt: skip
        found.append(Row(f"{name}, new session", f"{what} new cpu", dovecot, "Dovecot", new))
        if what != "flags":
            found.append(Row(f"{name}, first time ever", f"{what} first cpu", best(first), "best mbox", 1.5))
    found += [
        Row("BODY.PEEK[1] of all", "part new cpu", dovecot, "Dovecot", None),
        Row("BODY.PEEK[TEXT]<0.2048> of all", "start new cpu", dovecot, "Dovecot", None),
        Row("SEARCH TEXT, text index, rare", f"rare {size} cpu", repeated_text, "Dovecot", 0.01),
        Row("SEARCH TEXT, text index, absent", f"absent {size} cpu", repeated_text, "Dovecot", 0.01),
        Row("SEARCH TEXT, text index, common", f"common {size} cpu", without_index, "ours without", 1.1),
        Row("BODY.PEEK[] of all", "bodies", dovecot, "Dovecot", 3.0, "MB/s", more=True),
        Row("BODY.PEEK[] of all", "bodies", maildir, "Dovecot maildir", 1.2, "MB/s", more=True),
        Row("POP3 RETR of all", "retr", dovecot, "Dovecot", 1.5, "MB/s", more=True),
        Row("POP3 RETR of 1000, plain client", "retr plain wall", dovecot, "Dovecot", 1.0),
        Row("SEARCH TEXT, first", "text first cpu", dovecot, "Dovecot", 0.4),
        Row("SEARCH TEXT, repeated", "text repeated cpu", dovecot, "Dovecot", 0.4),
        Row("SEARCH SUBJECT, repeated", "subject repeated cpu", dovecot, "Dovecot", 1.0),
        Row("SEARCH FROM, repeated", "from repeated cpu", dovecot, "Dovecot", None),
        Row("SEARCH HEADER X-Mailer, repeated", "mailer repeated cpu", dovecot, "Dovecot", None),
        Row("SEARCH SENTSINCE, repeated", "sent repeated cpu", dovecot, "Dovecot", None),
        Row("SEARCH SINCE UNSEEN, repeated", "unseen repeated cpu", dovecot, "Dovecot", None),
        Row("SORT (SUBJECT), repeated", "subjects repeated cpu", dovecot, "Dovecot", None),
        Row("SORT, repeated", "sort repeated cpu", dovecot, "Dovecot", 1.0),
        Row("THREAD, repeated", "thread repeated cpu", dovecot, "Dovecot", 1.0),
        Row("STORE 1:* +FLAGS", "store cpu", dovecot, "Dovecot", 1.0),
        Row("CHECK and LOGOUT after it", "check cpu", dovecot, "Dovecot", 1.0),
        Row("EXPUNGE of one in the middle", "expunge cpu", dovecot, "Dovecot", 1.0),
        Row("APPEND, each", "append cpu", dovecot, "Dovecot", 1.0),
        Row("COPY 1:1000", "copy cpu", dovecot, "Dovecot", 1.0),
        Row("memory of a session", "pss session", limit(2), "a limit", 1.0, "MB"),
        Row("memory of 100 before login", "pss strangers", limit(30), "a limit", 1.0, "MB"),
        Row("IDLE: delivery to EXISTS, p99", "idle", limit(0.020), "a limit", 1.0),
    ]
    return found


def settle(records: dict[str, dict[str, list[float]]]) -> Figures:
    """One number for each figure: the median, but the 99th percentile of IDLE."""
    figures: Figures = {}
    for who, measured in records.items():
        found = {name: statistics.median(values) for name, values in measured.items()}
        if "idle" in measured:
            found["idle"] = sorted(measured["idle"])[len(measured["idle"]) * 99 // 100]
        for size in "TSML":
            if f"select delivered {size} cpu" in found:
                parts = (f"{command} delivered {size} cpu" for command in ("select", "logout"))
                found[f"delivered {size} cpu"] = sum(found[part] for part in parts)
        figures[who] = found
    return figures


def lines(judged: list[dict[str, Any]]) -> list[str]:
    """In Markdown, so that README can have it as it is."""
    told = ["| work | | ours | peer | | ratio | target | |", "|---|---|---:|---:|---|---:|---:|---|"]
    for row in judged:
        target = "-" if row["target"] is None else f"{'≥' if row['more'] else '≤'} {row['target']}"
        verdict = {None: "", True: "met", False: "**missed**"}[row["met"]]
        told.append(
            f"| {row['work']} | {row['unit']} | {short(row['ours'])} | {short(row['peer'])} | {row['of']} | "
            f"{row['ratio']:.2f} | {target} | {verdict} |"
        )
    return told


def short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
