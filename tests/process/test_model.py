"""R1 in its short form: the model of the queue in all interleavings, as it is and with each guard taken out."""

from pathlib import Path

import pytest

from tests.drills.model import FULL, MUTANTS, SHORT, Check, Seen, look
from tests.drills.report import CannotRun

pytestmark = pytest.mark.timeout(300)


_IN_CI = {"lanes, safe", "no lane, safe", "tireless, cancel_arrives"}
IN_CI = [check for check in SHORT if str(check) in _IN_CI]
"""Those of fewer than 300,000 states; `./jobs drill model --short` goes through all."""


@pytest.mark.parametrize("check", IN_CI, ids=str)
def test_in_no_interleaving_a_promise_of_the_queue_breaks(check: Check, tmp_path: Path) -> None:
    seen = _look(check, tmp_path)
    assert (seen.found, seen.whole) == ("", True)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_a_guard_the_model_finds_what_the_guard_is_there_for(mutant: Check, tmp_path: Path) -> None:
    assert _look(mutant, tmp_path).found == mutant.found


def test_each_guard_taken_out_is_one_that_is_there_in_the_model_as_it_is() -> None:
    """A flag misspelt would take out nothing; one that a clean check has by mistake would hide what it guards."""
    taken_out = {mutant.flags.split()[-1] for mutant in MUTANTS}
    text = "".join(path.read_text() for path in (Path(__file__).parents[1] / "models").glob("*.pml"))
    assert len(taken_out) == len(MUTANTS)
    assert all(f"def {flag}\n" in text for flag in taken_out)
    assert not any(taken_out & set(check.flags.split()) for check in FULL)


def _look(check: Check, folder: Path) -> Seen:
    try:
        return look(check, folder)
    except CannotRun as why:
        pytest.skip(str(why))
