"""A small part of benchmarks/reliability with every run of the suite; the whole is `make reliability`."""

from __future__ import annotations

import pytest

from benchmarks.reliability import crashes, faults, foreign, fuzz, kills, volume
from tests.conftest import need_root


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("campaign", "share", "least"),
    [(crashes, 0.1, 2000), (faults, 0.1, 800), (foreign, 0.04, 480), (fuzz, 0.04, 4000), (kills, 0.02, 20)],
    ids=["crashes", "faults", "foreign", "fuzz", "kills"],
)
def test_nothing_is_lost(campaign, share, least):
    count = campaign.run(share)
    assert not count.wrong, "\n".join(count.wrong[:10])
    assert count.tried >= least


def test_a_disk_that_is_full():
    need_root()
    count = volume.run(0.1)
    assert not count.wrong, "\n".join(count.wrong[:10])
    assert count.tried >= 15


# Found by a campaign once, mended, and not to come back.
SEEDS = [(39, 300), (5, 128), (9, 103), (12, 59), (5, 148), (112, 140), (10, 84)]


@pytest.mark.parametrize("seed", sorted({seed for seed, _ in SEEDS}))
def test_seeds_that_failed_once(seed):
    count = crashes.play_seed(seed)
    assert not count.wrong, "\n".join(count.wrong[:10])


def test_the_campaign_can_fail(monkeypatch):
    """What finds nothing must at least be able to: a journal that is forgotten loses mail."""
    from mailcore.store.formats.mbox import journal

    monkeypatch.setattr(journal, "pending", lambda *_: [])
    wrong = [wrong for seed in range(3) for wrong in crashes.play_seed(seed, 200).wrong]
    assert len(wrong) > 3 and any("messages, possible" in line or "Error" in line for line in wrong)


def test_the_fuzz_can_fail(monkeypatch):
    from mailcore.store.formats.mbox.view import View
    from mailcore.store.mailbox import News

    real = View._tell_expunged
    monkeypatch.setattr(View, "_tell_expunged", lambda view, news, columns: real(view, News(), columns))
    assert any(fuzz.play_seed(seed, 300).wrong for seed in range(4))
