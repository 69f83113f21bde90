"""The text index of a real user: written by his fenced session, and by root who becomes him."""

from __future__ import annotations

import os
import sqlite3
import stat

from click.testing import CliRunner

from mailcore.tools.index import index
from tests.integration.machine import PASSWORD, Daemon, Line, free_port, launcher, need

MAIL = "From a@example.org Sat Nov 21 12:00:00 2026\nSubject: number {0}\n\nthe body of number {0}\n\n"


def rows(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT total(messages) FROM mailbox").fetchone()[0]


def own(fred, text):
    """It is his, and his alone."""
    found = os.stat(text)
    return (found.st_uid, stat.S_IMODE(found.st_mode)) == (fred.uid, 0o600)


def test_a_fenced_session_fills_it(tmp_path, fred):
    fred.inbox.write_text("".join(MAIL.format(number) for number in range(40)))
    os.chown(fred.inbox, fred.uid, fred.gid)
    text = fred.home / "index/text.db"
    options = ["-o", "index_directory=~/index", "-o", "text_index=true"]
    server, port = launcher(tmp_path / "imapd", "imapd", *options), free_port()
    (tmp_path / "inetd.conf").write_text(f"127.0.0.1:{port} stream tcp nowait root {server} imapd\n")
    daemon = Daemon(need("inetd"), "-i", str(tmp_path / "inetd.conf"), ports=(port,))
    line = Line(port)
    line.hear()
    for command in (f"a LOGIN {fred.name} {PASSWORD}", "b SELECT INBOX"):
        line.say(command)
        assert line.until(command[0])[-1].startswith(f"{command[0]} OK")
    for _ in range(2):
        line.say('c SEARCH TEXT "of number 17"')
        assert line.until("c")[0] == "* SEARCH 18"
    assert rows(text) == 40 and own(fred, text)
    line.say("d LOGOUT")
    line.until("d")
    line.close()
    daemon.stop()


def test_root_fills_it_as_the_user(fred):
    fred.inbox.write_text("".join(MAIL.format(number) for number in range(3)))
    os.chown(fred.inbox, fred.uid, fred.gid)
    child = os.fork()  # the tool becomes the user for good
    if child == 0:
        done = CliRunner().invoke(index, [fred.name, "--text", "-o", "index_directory=~/other"])
        os._exit(done.exit_code)
    assert os.waitpid(child, 0)[1] == 0
    assert rows(fred.home / "other/text.db") == 3 and own(fred, fred.home / "other/text.db")
