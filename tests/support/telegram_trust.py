"""A module for JOBS_HANDLERS by which a process of ours trusts the tests' Telegram."""

from jobs_core import HandlerTable
from tests.support.telegram.numbers import trust_test_key


def register(_table: HandlerTable) -> None:
    """No handlers."""
    trust_test_key()
