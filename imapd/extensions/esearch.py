"""ESEARCH (RFC 4731): SEARCH RETURN (MIN MAX ALL COUNT) tells as little as the client wants to know."""

from __future__ import annotations

from imapd.results import SEARCH_RETURN_OPT, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.responses import Data
    from imapd.results import Found


def _first(uids: list[int]) -> list[int]:
    return uids[:1]


def _last(uids: list[int]) -> list[int]:
    return uids[-1:]


def _min(found: Found) -> list[Data]:
    return ["MIN", *found.names(_first(found.uids))] if found.uids else []


def _max(found: Found) -> list[Data]:
    return ["MAX", *found.names(_last(found.uids))] if found.uids else []


def _all(found: Found) -> list[Data]:
    return ["ALL", found.set_of(found.uids)] if found.uids else []


def _count(found: Found) -> list[Data]:
    return ["COUNT", len(found.uids)]


SEARCH_RETURN_OPT |= {
    "MIN": lambda session, args: Option("MIN", _min, _first),
    "MAX": lambda session, args: Option("MAX", _max, _last),
    "ALL": lambda session, args: Option("ALL", _all),
    "COUNT": lambda session, args: Option("COUNT", _count),
}
