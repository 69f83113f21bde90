"""Fixtures of the integration tests."""

from __future__ import annotations

import pytest

from tests.integration.machine import User, open_syslog


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


def pytest_collection_modifyitems(items):
    for item in items:
        if "/integration/" in str(item.path):
            item.add_marker(pytest.mark.integration)
