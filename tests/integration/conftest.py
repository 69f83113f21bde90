"""Fixtures of the integration tests."""

from __future__ import annotations

import os

import pytest

from tests.integration.machine import User, open_syslog
from tests.integration.post_office import PostOffice
from tests.playground import tree


@pytest.fixture(scope="session")
def fred():
    """A real user."""
    user = User("mctest_fred")
    yield user
    user.remove()


@pytest.fixture
def syslog():
    """What was logged; None where a real syslogd listens."""
    log = open_syslog()
    yield log
    if log is not None:
        log.close()


@pytest.fixture
def office(ground):
    """Both servers for a mail client; none of our own errors may show up."""
    log = open_syslog() if os.getuid() == 0 else None
    office = PostOffice(ground)
    yield office
    office.close()
    if log is not None:
        log.close()
        ours = f'File "{tree()}'  # a traceback of this test run's servers; others log there too
        assert not log.saw(ours), "\n".join(log.lines)


def pytest_collection_modifyitems(items):
    for item in items:
        if "/integration/" in str(item.path):
            item.add_marker(pytest.mark.integration)
