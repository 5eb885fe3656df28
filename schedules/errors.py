"""What can go wrong with schedules, as a caller may want to tell it apart.

JobsError
├── NoSuchSchedule          no schedule has this name or number: tell the caller
└── NameTaken               a schedule of this name is there, and a new one was asked for: take another name, or change that one

What does not fit (a rule, an input, a name) is jobs_core's InvalidInput, which names the field.
"""

from jobs_core import JobsError


class NoSuchSchedule(JobsError):
    """No schedule has this name or number."""


class NameTaken(JobsError):
    """There is a schedule of this name already."""
