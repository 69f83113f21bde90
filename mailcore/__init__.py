"""What imapd and ipop3d share: speech, login, messages, mail stores."""

VERSION = "0.1.0"
