"""Mail delivered by procmail and by Postfix's local(8) while sessions have the same spool file open."""

from __future__ import annotations

import imaplib
import os
import poplib
import subprocess

import pytest

from tests.integration.machine import (
    PASSWORD,
    Daemon,
    free_port,
    launcher,
    need,
    need_root,
    run,
    wait_for,
)  # fmt: skip

MAIL = "From: {who}@example.org\nTo: fred\nSubject: {what}\nMessage-ID: <{what}@example.org>\n\nBody of {what}\n"


@pytest.fixture
def ports(tmp_path, fred):
    """Both servers under inetd; INBOX is the user's real spool file."""
    program = need("inetd")
    ports = [free_port(), free_port()]
    (tmp_path / "inetd.conf").write_text(
        "".join(
            f"127.0.0.1:{port} stream tcp nowait root {launcher(tmp_path / name, name)} {name}\n"
            for port, name in zip(ports, ("imapd", "ipop3d"), strict=True)
        )
    )
    fred.inbox.unlink(missing_ok=True)
    daemon = Daemon(program, "-i", str(tmp_path / "inetd.conf"), ports=tuple(ports))
    yield ports
    daemon.stop()


@pytest.fixture
def imap(ports, fred):
    client = imaplib.IMAP4("127.0.0.1", ports[0], timeout=30)
    client.login(fred.name, PASSWORD)
    client.select("INBOX")
    yield client
    client.logout()


def procmail(fred, what):
    subprocess.run(
        [need("procmail"), "-d", fred.name],
        input=MAIL.format(who="procmail", what=what),
        text=True,
        check=True,
        timeout=60,
    )


@pytest.fixture
def postfix(tmp_path):
    """A Postfix of our own that delivers local mail and listens nowhere; gives the delivering function."""
    need_root()
    postfix, sendmail = need("postfix"), need("sendmail")
    conf, queue, data = (tmp_path / name for name in ("postfix", "queue", "data"))
    for directory in (conf, queue, data):
        directory.mkdir(mode=0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o005 != 0o005 and parent != parent.parent:
            parent.chmod(parent.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    import shutil

    shutil.chown(data, "postfix")
    (conf / "main.cf").write_text(
        f"compatibility_level = 3.6\nqueue_directory = {queue}\ndata_directory = {data}\n"
        "myhostname = mail.example.org\n"
        "mydestination = $myhostname localhost\ninet_interfaces = loopback-only\nmaster_service_disable = inet\n"
        "alias_maps =\nalias_database =\nlocal_recipient_maps =\nmailbox_command =\nmail_spool_directory = /var/mail\n"
        f"default_transport = error:no\nmaillog_file = {tmp_path}/postfix.log\nmaillog_file_prefixes = /\n"
    )
    dist = run(need("postconf"), "-d", "-h", "meta_directory").strip()
    master = next(path for path in ("/etc/postfix/master.cf", f"{dist}/master.cf.proto") if os.path.exists(path))
    shutil.copy(master, conf / "master.cf")
    if os.path.exists("/etc/postfix/dynamicmaps.cf"):
        shutil.copy("/etc/postfix/dynamicmaps.cf", conf)
    run(postfix, "-c", str(conf), "start")

    def deliver(fred, what):
        subprocess.run(
            [sendmail, "-C", str(conf), "-i", f"{fred.name}@localhost"],
            input=MAIL.format(who="postfix", what=what),
            text=True,
            check=True,
            timeout=60,
        )

    yield deliver
    subprocess.run([postfix, "-c", str(conf), "stop"], capture_output=True, timeout=60, check=False)


def subjects(client):
    _, data = client.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [item[1].decode().split(": ")[1].strip() for item in data if isinstance(item, tuple)]


def exists(client):
    client.noop()
    return int((client.untagged_responses.get("EXISTS") or [b"0"])[-1])


def test_procmail_delivers_into_an_open_session(imap, fred):
    assert exists(imap) == 0
    for number in range(1, 4):
        procmail(fred, f"mail-{number}")
        wait_for(lambda number=number: exists(imap) == number, f"message {number}")
    assert subjects(imap) == ["mail-1", "mail-2", "mail-3"]
    assert fred.inbox.stat().st_uid == fred.uid


def test_procmail_and_a_session_write_at_the_same_time(imap, ports, fred):
    """Deliveries, flags, an expunge and a POP3 session: everything that was delivered is there once."""
    for number in range(20):
        procmail(fred, f"before-{number}")
    wait_for(lambda: exists(imap) == 20, "20 messages")
    runs = [subprocess.Popen([need("procmail"), "-d", fred.name], stdin=subprocess.PIPE, text=True) for _ in range(20)]
    for number, process in enumerate(runs):
        process.stdin.write(MAIL.format(who="procmail", what=f"meanwhile-{number}"))
        process.stdin.close()
        if number % 2:
            imap.store(str(number % 15 + 1), "+FLAGS", "(\\Seen $Work)")  # so many are there, whoever is quick
        if number == 10:
            imap.store("1:5", "+FLAGS", "(\\Deleted)")
            imap.expunge()
    assert [process.wait(60) for process in runs] == [0] * 20
    wait_for(lambda: exists(imap) == 35, "35 messages")
    expected = {f"before-{number}" for number in range(5, 20)} | {f"meanwhile-{number}" for number in range(20)}
    assert sorted(subjects(imap)) == sorted(expected)

    client = poplib.POP3("127.0.0.1", ports[1], timeout=30)
    client.user(fred.name)
    client.pass_(PASSWORD)
    assert client.stat()[0] == 35
    client.dele(1)
    client.quit()
    wait_for(lambda: exists(imap) == 34 or len(subjects(imap)) == 34, "the one POP3 removed")


def test_postfix_delivers_into_an_open_session(postfix, imap, fred):
    for number in range(1, 4):
        postfix(fred, f"mail-{number}")
    wait_for(lambda: exists(imap) == 3, "three messages", 60)
    assert sorted(subjects(imap)) == ["mail-1", "mail-2", "mail-3"]
    imap.store("1", "+FLAGS", "(\\Deleted)")
    imap.expunge()
    postfix(fred, "mail-4")
    wait_for(lambda: len(subjects(imap)) == 3 and "mail-4" in subjects(imap), "the fourth", 60)


def test_postfix_delivers_while_another_mailbox_is_selected(postfix, imap, fred):
    """NOTIFY (RFC 5465) tells it to a client that says nothing."""
    imap.create("other")
    imap.select("other")
    imap.xatom("NOTIFY", "SET (selected (MessageNew MessageExpunge)) (inboxes (MessageNew MessageExpunge))")
    for number in (1, 2):
        postfix(fred, f"mail-{number}")
        line = imap.readline()
        assert line.startswith(f"* STATUS INBOX (MESSAGES {number} UIDNEXT ".encode()), line


def test_what_another_session_does_is_told_behind_the_fence(imap, ports, fred):
    """NOTIFY watches the home directory's list and the notes beside the index, where a session may not write."""
    imap.xatom("NOTIFY", "SET (personal (MailboxName SubscriptionChange MailboxMetadataChange))")
    other = imaplib.IMAP4("127.0.0.1", ports[0], timeout=30)
    other.login(fred.name, PASSWORD)
    for command, told in (
        (lambda: other.create("fenced"), b'* LIST (\\NoInferiors \\UnMarked \\HasNoChildren) "/" fenced\r\n'),
        (lambda: other.subscribe("fenced"), b"\\Subscribed"),
        (lambda: other.xatom("SETMETADATA", 'fenced (/private/comment "x")'), b"* METADATA fenced /private/comment"),
        (lambda: other.unsubscribe("fenced"), b'"/" fenced\r\n'),
        (lambda: other.delete("fenced"), b'* LIST (\\NonExistent) "/" fenced\r\n'),
    ):
        command()
        line = imap.readline()
        assert told in line, line
    assert imap.readline() == b"* METADATA fenced /private/comment\r\n"
    other.logout()
