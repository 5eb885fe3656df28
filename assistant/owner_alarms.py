"""What the owner is told of agents' runs that no run can mend, each in the transaction that it comes with."""

import shlex

from assistant.notifications import notify
from jobs_core import AnyJob, Connection
from sessions import BudgetShort
from sessions.budgets import Scope
from sessions.model_run import Alarms


async def _budget_used_up(conn: Connection, job: AnyJob, short: BudgetShort) -> None:
    scope = Scope(short.balance.scope, short.balance.key)
    await notify(
        conn,
        user_id=None,
        title=f"A budget is used up: {short.balance}",
        body=f"Job {job.id} waits: {short}. Approve more: ./jobs budget raise {shlex.quote(str(scope))} --by 5",
        category="budget",
        severity="warning",
    )


async def _provider_refuses(conn: Connection, reason: str) -> None:
    await notify(
        conn,
        user_id=None,
        title="The provider of the models refuses us",
        body=f"All agents' jobs wait. {reason}. Mend it, then ./jobs provider resume; one job tries every 3 minutes by itself.",
        category="provider",
        severity="error",
    )


TELL_OWNER = Alarms(_budget_used_up, _provider_refuses)
