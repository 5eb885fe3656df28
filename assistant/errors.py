"""What can go wrong in what the assistant knows, as a door may want to tell it apart.

AssistantError
├── NoSuchChat      there is no such chat on this channel: the caller has a wrong id
├── ChatClosed      the chat takes no messages any more: the caller begins a new one
├── NoSuchAnswer    there is no answer of that id in the chat: the caller has a wrong one, or nothing was answered yet
├── NoSuchTask      there is no such task, or none of this user's: the caller has a wrong id
├── TaskExists      another task stands for this ticket: the caller changes that one
├── TaskChanged     somebody else changed the task meanwhile: the caller looks again and decides anew
├── NoSuchUser      there is no such person: the caller has a wrong id
├── RoleFixed       this person's role cannot be that, for a reason that is told: nothing was changed
├── NoSuchAgent     there is no agent of this name
├── AgentExists     there is one already: edit it, or take another name
├── NoSuchAction    there is no such pending action: the caller has a wrong id
│   └── NoSuchAlways    nor is anything always allowed under this one
├── NoSuchDelivery  there is no such delivery: the caller has a wrong id
├── NotResent       the delivery is not one that failed: the caller looks at it again
├── NoSuchCallback  there is no callback of this name: the caller has a wrong one
├── CallbackExists  there is one already: change it, or take another name
├── FileGone        its bytes were dropped for their age, all or in the middle: the caller does without it
├── MayNotDecide    it is not this person's to decide about
├── ScheduleOfFile  a file made the schedule, or something else made one that a file names: change it there, or take it over
├── MayNotSchedule  agents run by schedules of owners only: an owner makes it, or it is removed
└── NotDecided      it was decided before, is over, or is not what the person was shown: the caller looks at it again
"""


class AssistantError(Exception):
    """Every error of this room; its text is one line that says what happened, to what, and what to do."""


class NoSuchChat(AssistantError):
    """No chat has this id on this channel."""


class ChatClosed(AssistantError):
    """The chat is not active."""


class NoSuchAnswer(AssistantError):
    """The chat has no answer of this id."""


class NoSuchTask(AssistantError):
    """No task has this id, for whoever asks."""


class TaskExists(AssistantError):
    """A task with this external_task_id is there."""


class TaskChanged(AssistantError):
    """The task is not what the caller saw."""


class NoSuchUser(AssistantError):
    """No person has this id, or is known by this channel."""


class RoleFixed(AssistantError):
    """The person's role cannot be changed so."""


class NoSuchAgent(AssistantError):
    """No agent has this name."""


class AgentExists(AssistantError):
    """An agent has this name."""


class NoSuchAction(AssistantError):
    """No action has this id."""


class NoSuchDelivery(AssistantError):
    """No delivery has this id."""


class NotResent(AssistantError):
    """The delivery is owed, sent, or has no channel: it was left as it is."""


class FileGone(AssistantError):
    """A file's bytes are not all there."""


class NoSuchAlways(NoSuchAction):
    """Nothing that is always allowed has this id."""


class MayNotDecide(AssistantError):
    """The action names others who may decide."""


class NotDecided(AssistantError):
    """The decision changed nothing: it came too late, or for other arguments."""


class MayNotSchedule(AssistantError):
    """The schedule's person is no owner."""


class ScheduleOfFile(AssistantError):
    """The schedule is not this caller's to change."""


class NoSuchCallback(AssistantError):
    """No callback has this name."""


class CallbackExists(AssistantError):
    """A callback of this name is there already."""
