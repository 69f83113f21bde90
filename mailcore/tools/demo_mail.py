"""The mail of `make run`: a dozen messages, each with something that mail is like.

Written as it lies in a mailbox, but with days that count back from now, so that the demo
never looks old.
"""

from __future__ import annotations

import re
import time

DAY_SECONDS = 86400

_INBOX = """\
From postmaster@example.org 12 days ago
From: Postmaster <postmaster@example.org>
To: demo@example.org
Subject: Welcome
Message-ID: <welcome@example.org>

Welcome to the demo.

This message is as plain as mail can be: one part, seven bits.

From alice@example.com 11 days ago
From: Alice Example <alice@example.com>
To: demo@example.org
Cc: Bob <bob@example.net>,
	"Carol, of Sales" <carol@example.com>
Subject: Lunch on Thursday?
Message-ID: <lunch.1@example.com>
Status: RO

Shall we say half past twelve?

>From here it is ten minutes on foot.

Alice

From bob@example.net 10.9 days ago
From: Bob <bob@example.net>
To: Alice Example <alice@example.com>
Cc: demo@example.org
Subject: Re: Lunch on Thursday?
Message-ID: <lunch.2@example.net>
In-Reply-To: <lunch.1@example.com>
References: <lunch.1@example.com>
Status: RO
X-Status: A

> Shall we say half past twelve?

Fine with me.

--
Bob

From zoe@example.fr 9 days ago
From: =?UTF-8?Q?Zo=C3=A9_M=C3=BCller?= <zoe@example.fr>
To: demo@example.org
Subject: =?UTF-8?B?w4l0w6kgw6AgUGFyaXM=?=
Message-ID: <ete@example.fr>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Bonjour,

les photos de l'été sont arrivées : où, quand, déjà vues ?

Zoé

From hans@example.de 8 days ago
From: =?ISO-8859-1?Q?Hans_J=FCrgen?= <hans@example.de>
To: demo@example.org
Subject: =?ISO-8859-1?Q?Gr=FC=DFe_aus_K=F6ln?=
Message-ID: <gruesse@example.de>
MIME-Version: 1.0
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Sch=F6ne Gr=FC=DFe aus K=F6ln!

Diese Zeile ist im Original l=E4nger, als eine Zeile in einer Mail sein=
 sollte.

From news@example.com 7 days ago
From: Example News <news@example.com>
To: demo@example.org
Subject: The week in two dresses
Message-ID: <week@example.com>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="two-dresses"
List-Id: News <news.example.com>

--two-dresses
Content-Type: text/plain; charset=us-ascii

Nothing happened this week.

--two-dresses
Content-Type: text/html; charset=us-ascii

<html><body><p><b>Nothing</b> happened this week.</p></body></html>

--two-dresses--

From carol@example.com 6 days ago
From: "Carol, of Sales" <carol@example.com>
To: demo@example.org
Subject: The picture you asked for
Message-ID: <picture@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed;
	boundary="a picture"
X-Status: F

This is a message of several parts.

--a picture
Content-Type: text/plain

Here it is. One dot, as agreed.

--a picture
Content-Type: image/gif; name="dot.gif"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="dot.gif"

R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7

--a picture--

From dave@example.net 5 days ago
From: Dave <dave@example.net>
To: demo@example.org
Subject: Fwd: minutes
Message-ID: <fwd@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: text/plain

See below.

--outer
Content-Type: message/rfc822

From: Erin <erin@example.net>
To: dave@example.net
Subject: minutes
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

We met. We talked.

--inner
Content-Type: text/html

<p>We met. We talked.</p>

--inner--

--outer--

From kenji@example.jp 4 days ago
From: =?ISO-2022-JP?B?GyRCN3I8IRsoQg==?= <kenji@example.jp>
To: demo@example.org
Subject: =?UTF-8?B?44GT44KT44Gr44Gh44Gv?=
Message-ID: <konnichiwa@example.jp>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

44GT44KT44Gr44Gh44Gv44CC

From MAILER-DAEMON 3 days ago
From: Mail Delivery System <MAILER-DAEMON@example.org>
To: demo@example.org
Subject: Undelivered Mail Returned to Sender
Message-ID: <bounce@example.org>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="report"

--report
Content-Type: text/plain

Nobody of that name lives here.

--report
Content-Type: message/delivery-status

Reporting-MTA: dns; example.org

Final-Recipient: rfc822; nobody@example.org
Action: failed
Status: 5.1.1

--report--

From cron@example.org 2 days ago
From: root@example.org (Cron Daemon)
To: demo@example.org
Subject: Cron <root@example> a long report
Message-ID: <cron@example.org>

@REPORT@

From alice@example.com 0.1 days ago
From: Alice Example <alice@example.com>
To: undisclosed-recipients:;
Subject:
Message-ID: <no-subject@example.com>

>From now on I write without a subject.

..and with lines that start with dots.
.
The end.

"""

_SENT = """\
From demo@example.org 10.5 days ago
From: demo@example.org
To: Alice Example <alice@example.com>
Subject: Re: Lunch on Thursday?
In-Reply-To: <lunch.1@example.com>
References: <lunch.1@example.com>
Message-ID: <lunch.3@example.org>
Status: RO

Gladly.

"""

_LIST = """\
From reader{number}@example.com {number} days ago
From: A Reader <reader{number}@example.com>
To: list@example.com
Subject: {subject}
Message-ID: <reader{number}@example.com>

I read all of it.

"""


def _mailbox(text: str) -> bytes:
    """The messages as a delivery agent appends them, with real dates."""
    return re.sub(r"(?m)^(From \S+) ([0-9.]+) days ago$", _dated, text).encode()


def _dated(line: re.Match[str]) -> str:
    when = time.gmtime(time.time() - float(line[2]) * DAY_SECONDS)
    return time.strftime(f"{line[1]} %a %b %e %H:%M:%S %Y\nDate: %a, %d %b %Y %H:%M:%S +0000", when)


def _report() -> str:
    """Two thousand lines, so that one message is not small."""
    return "".join(f"{number:05} all is well\n" for number in range(2000))


INBOX = _mailbox(_INBOX.replace("@REPORT@\n", _report()))
OTHERS = {
    "Sent": _mailbox(_SENT),
    "Drafts": b"",
    "Trash": b"",
    "lists/python": _mailbox("".join(_LIST.format(number=number, subject="PEP 8") for number in range(20, 15, -1))),
    "lists/&AMk-tudes": _mailbox(_LIST.format(number=15, subject="=?UTF-8?Q?=C3=89tude?=")),
}
