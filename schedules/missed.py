"""Which of the ticks that fell due since the last look are run, and which nobody saw to in time.

seen until ──── missed: skip, once, all ────▶ a minute ago ──── on time: all of them ────▶ now
"""

from datetime import datetime, timedelta

from schedules.rules import Due, Rule

ON_TIME = timedelta(seconds=60)
"""A tick that is seen to within this was not missed: evaluators are restarted, and servers fail over, in less."""


def to_run(rule: Rule, seen_until: datetime, now: datetime) -> list[Due]:
    """The ticks after `seen_until` and up to `now` that are run, in order: those on time, and of the others what the rule says.

    However long the outage was, no more are worked out than are run, or about twice as many.
    """
    late = now - ON_TIME
    on_time = rule.between(max(seen_until, late), now)
    if seen_until >= late:
        return on_time
    since = seen_until
    if rule.missed_window_s is not None:
        since = max(since, now - timedelta(seconds=rule.missed_window_s, microseconds=1))
    match rule.missed:
        case "once" if not on_time and since < late:
            return rule.last(1, since, late)
        case "all" if since < late:
            return rule.last(rule.missed_max, since, late) + on_time
    return on_time
