"""UTF8=ACCEPT (RFC 9755, and RFC 6855 before it): names and quoted strings in UTF-8, mail with UTF-8 headers.

What changes with ENABLE lives where names are read and said (syntax.Args, responses.Name).
Mail is stored and sent as it came, so one with UTF-8 headers is taken and told in any session.
"""

from __future__ import annotations

from imapd.extensions.catenate import CAT_PART
from imapd.extensions.enable import ENABLE
from imapd.incoming import APPEND_DATA, mail
from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.incoming import Part
    from imapd.syntax import Args


def _wrapped(args: Args, whole: bool) -> Part:
    """SP "(" literal8 ")" (RFC 6855 §4); RFC 9755 has a plain literal instead, which is taken too."""
    if not args.utf8:
        raise Mistake("ENABLE UTF8=ACCEPT comes first")
    part = mail(args.space().need(b"("), whole)
    args.need(b")")
    return part


ENABLE.add("UTF8=ACCEPT")
APPEND_DATA["UTF8"] = lambda args: [_wrapped(args, whole=True)]
CAT_PART["UTF8"] = lambda args: _wrapped(args, whole=False)
