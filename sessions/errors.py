"""What can go wrong in a conversation, as the handler of a turn may want to tell it apart.

SessionsError
├── RateLimited             the provider wants a pause: come back later, at no cost
├── ModelUnavailable        the model gave no answer this time: likewise, unless others get theirs
├── AgentBroke              the CLI died or did not start: retry
├── BudgetExhausted         the run has spent what it had reserved: go on when there is more
├── BudgetShort             too little is left for a run to begin: wait for it (budgets.py)
├── MirrorFailed            Postgres did not take the transcript: retry; what it has is gone on from
├── NotCopied               a conversation cannot be forked, written to files or read from them: tell whoever asked
├── CredentialsRefused      key, permission or credit: no turn will work until an operator acts
├── ToolRefused             raised by a tool of ours: the model reads why, and goes on
└── TurnFailed              this turn will not work however often it is tried: tell whoever asked
    ├── PromptRefused       nor will any later turn of this session, which holds what the API refuses: begin a new one
    └── TranscriptLost      a session has lost what was said in it: never go on as if it were new; alarm

Beside them stand `jobs_core.LeaseLost`, raised where another run has taken the session (stop, write nothing), and
`jobs_core.ConfigurationError` at the start.
"""

from decimal import Decimal


class SessionsError(Exception):
    """Every error of this room; its text is one line that says what happened, to what, and what to do."""


class RateLimited(SessionsError):
    """The provider refused the request because of a rate limit. retry_after_s: what it asked for, where that is known."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(SessionsError):
    """Overload, a server's error, a cut connection, silence in the middle of a turn."""


class AgentBroke(SessionsError):
    """The CLI could not be started, died, or never said a first word."""


class BudgetExhausted(SessionsError):
    """The run has spent what it may; what it was about to do is on record, and goes on under a higher cap."""

    def __init__(self, spent_usd: Decimal, cap_usd: Decimal) -> None:
        super().__init__(f"The run has spent {spent_usd:.4f} of its {cap_usd} US dollars: allow it more, or leave it")
        self.spent_usd = spent_usd
        self.cap_usd = cap_usd


class MirrorFailed(SessionsError):
    """An entry of the transcript could not be stored; the run was stopped."""


class NotCopied(SessionsError):
    """The conversation is not here, not whole, or not fit to be one here."""


class CredentialsRefused(SessionsError):
    """The provider refused the key or the account."""


class ToolRefused(SessionsError):
    """A call of a tool cannot be done as it was asked; the text is for the model, one line that says what to do instead."""


class TurnFailed(SessionsError):
    """The turn has ended without an answer and would do so again."""


class PromptRefused(TurnFailed):
    """The API refuses what was asked (too long, not allowed), and the transcript would send it again with every later turn."""


class TranscriptLost(TurnFailed):
    """The transcript is gone, or lacks a turn that was answered."""
