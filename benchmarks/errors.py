"""What can go wrong in a run.

jobs_core.JobsError
└── BenchFailed             a contender cannot be installed or did not do what it was asked: a row says so, or the run ends
"""

from jobs_core import JobsError


class BenchFailed(JobsError):
    """A contender could not be measured; the text says which, why, and where its own words stand."""
