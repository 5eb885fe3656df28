"""A worker's settings."""

import pytest

from jobs_core import ConfigurationError
from workers.settings import WorkerSettings


def test_a_lease_that_cannot_be_renewed_in_time_is_refused_by_both_names() -> None:
    """With JOBS_LEASE_S=2 alone every lease would run out before its first renewal."""
    with pytest.raises(ConfigurationError, match=r"JOBS_RENEW_S=3 .* JOBS_LEASE_S=2"):
        WorkerSettings.read(lease_s=2.0)


def test_a_lease_may_be_renewed_three_times_in_its_life() -> None:
    assert WorkerSettings.read(lease_s=9.0, renew_s=3.0).renew_s == 3


def test_one_setting_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_SLOTS", "none")
    with pytest.raises(ConfigurationError, match="JOBS_SLOTS: "):
        WorkerSettings.read()
