"""The door of imapd: no arguments is what a super-server's line has, and goes straight in."""

from __future__ import annotations

import os
import sys

from imapd.session import SERVICE
from mailcore.login.arrival import arrive


def main() -> int:
    """Serve; the exit status."""
    if len(sys.argv) > 1:
        from mailcore.options import run

        return run(SERVICE, sys.argv[1:])
    os._exit(arrive(SERVICE))  # taking the interpreter apart would cost a sixth of a start


if __name__ == "__main__":
    raise SystemExit(main())
