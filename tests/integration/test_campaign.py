"""Four delivery agents and ten sessions on one mailbox, a little of benchmarks/reliability/delivery.py."""

from __future__ import annotations

import os

import pytest

from benchmarks.reliability import agents, delivery
from tests.conftest import missing, need, need_root


@pytest.mark.timeout(400)
def test_what_was_sent_is_what_was_received():
    need_root()
    for program in ("postfix", "procmail", "maildrop"):
        need(program)
    if not os.access(agents.LDA, os.X_OK):
        missing(agents.LDA)
    count = delivery.run(0.002)
    assert not count.wrong, "\n".join(count.wrong[:10])
    assert count.tried == 20 and count.notes["agents"] == 4
