"""`./jobs task`: the assistant's tasks: list them, look at one, add and edit."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BIGGEST_ID, Before, Data, Json, Limit

if TYPE_CHECKING:
    from assistant.task import Task
    from jobs_core import Connection

_EXAMPLE = 'Example: ./jobs task add "Call the bank" --assignee ada --deadline 2030-01-31T09:00Z'
_TIME = "ISO 8601, zone included"
_STATUSES = "open, in_progress, waiting, done, cancelled"

TaskId = Annotated[int, typer.Argument(metavar="ID", min=1, max=BIGGEST_ID, help="The task's id")]
Status = Annotated[str | None, typer.Option(help=_STATUSES)]
Kind = Annotated[str | None, typer.Option(help="task, scheduled, or a word of your own")]
Context = Annotated[str | None, typer.Option(help="What whoever does it must know")]
Assignee = Annotated[str | None, typer.Option(help="The user who is to do it")]
Deadline = Annotated[str | None, typer.Option(help=f"{_TIME}")]
ScheduleAt = Annotated[str | None, typer.Option(help=f"Of kind scheduled, when it is done: {_TIME}")]
ScheduleRepeat = Annotated[
    str | None, typer.Option(help="And how often again: hourly, daily, weekdays, weekly, monthly")
]
NextStep = Annotated[str | None, typer.Option(help="What to do next")]
Project = Annotated[str | None, typer.Option(help="The project it belongs to")]


def register(app: typer.Typer) -> None:
    """Add the command and its four verbs."""
    task = typer.Typer(help="List, show, add and edit the assistant's tasks.", no_args_is_help=True)
    task.command("list", epilog="Example: ./jobs task list --assignee ada --overdue")(list_some)
    task.command("show", epilog="Example: ./jobs task show 7 --json")(show)
    task.command("add", epilog=_EXAMPLE)(add)
    task.command("edit", epilog='Example: ./jobs task edit 7 --status done --result "They called back"')(edit)
    app.add_typer(task, name="task", epilog=_EXAMPLE)


def list_some(
    assignee: Annotated[str | None, typer.Option(help="Only those that this user is to do")] = None,
    status: Annotated[str | None, typer.Option(help=f"Only those that are {_STATUSES}")] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind")] = None,
    project: Annotated[str | None, typer.Option(help="Only those of this project")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their deadline")] = False,
    done: Annotated[bool, typer.Option("--done", help="Also those that are done or cancelled")] = False,
    limit: Limit = 20,
    before: Before = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the newest tasks that are not done."""
    from assistant.task import STATUSES
    from assistant.tasks import list_tasks
    from cli.database import ask
    from cli.printing import print_table

    if status is not None and status not in STATUSES:
        raise typer.BadParameter(f"{status!r} is no status; choose one of {_STATUSES}")
    matching: dict[str, Any] = {"assignee": assignee, "status": status, "kind": kind, "project_id": project}
    page: dict[str, Any] = {"overdue": overdue, "include_done": done, "before_id": before, "limit": limit}
    tasks = ask(lambda conn: list_tasks(conn, **matching, **page), data)
    headings = {"id": "id", "status": "status", "kind": "kind", "assignee": "assignee", "deadline": "deadline (UTC)"}
    print_table([asdict(task) for task in tasks], headings | {"title": "title"}, as_json=as_json)


def show(task_id: TaskId, as_json: Json = False, data: Data = None) -> None:
    """Show all that is known of one task."""
    from assistant.tasks import find_task

    _print(_ask(lambda conn: find_task(conn, task_id), data), as_json=as_json)


def add(
    title: Annotated[str, typer.Argument(help="What is to be done, in one line")],
    status: Status = None,
    kind: Kind = None,
    context: Context = None,
    assignee: Assignee = None,
    deadline: Deadline = None,
    schedule_at: ScheduleAt = None,
    schedule_repeat: ScheduleRepeat = None,
    next_step: NextStep = None,
    project: Project = None,
    ticket: Annotated[
        str | None, typer.Option(help="The ticket that it stands for, its tracker first: jira:ABC-7")
    ] = None,
    by: Annotated[str | None, typer.Option(help="The user for whom it is made")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Add a task."""
    from assistant.task import NewTask
    from assistant.tasks import create_task
    from jobs_core import gate

    given = {"title": title, "status": status, "kind": kind, "context": context, "assignee": assignee}
    given |= {"deadline": deadline, "schedule_at": schedule_at, "schedule_repeat": schedule_repeat}
    given |= {"next_step": next_step, "project_id": project, "external_task_id": ticket}
    new: Any = gate.fit(NewTask, _given(given), field="task")

    async def made(conn: "Connection") -> "Task":
        async with conn.transaction():
            return await create_task(conn, new, created_by=by)

    _print(_ask(made, data), as_json=as_json)


def edit(
    task_id: TaskId,
    title: Annotated[str | None, typer.Option(help="What is to be done, in one line")] = None,
    status: Status = None,
    kind: Kind = None,
    context: Context = None,
    result: Annotated[str | None, typer.Option(help="What came of it")] = None,
    assignee: Assignee = None,
    deadline: Deadline = None,
    schedule_at: ScheduleAt = None,
    schedule_repeat: ScheduleRepeat = None,
    next_step: NextStep = None,
    project: Project = None,
    clear: Annotated[list[str] | None, typer.Option(help="Empty this field, as in deadline; repeat for more")] = None,
    if_version: Annotated[int | None, typer.Option(help="Only if it is still this version")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Change what is given of a task; all else stays as it is."""
    from assistant.task import TaskChange
    from assistant.tasks import update_task
    from jobs_core import gate

    given = {"title": title, "status": status, "kind": kind, "context": context, "result": result, "assignee": assignee}
    given |= {"deadline": deadline, "schedule_at": schedule_at, "schedule_repeat": schedule_repeat}
    given |= {"next_step": next_step, "project_id": project}
    fields = dict.fromkeys(clear or ()) | _given(given)
    if not fields:
        raise typer.BadParameter("nothing is to be changed: see ./jobs task edit --help for what can be")
    change: Any = gate.fit(TaskChange, fields, field="task")

    async def changed(conn: "Connection") -> "Task":
        async with conn.transaction():
            return await update_task(conn, task_id, change, if_version=if_version)

    _print(_ask(changed, data), as_json=as_json)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _ask(question: Any, data: Data) -> "Task":
    from assistant.errors import AssistantError
    from cli.database import ask
    from cli.errors import CommandFailed

    try:
        task: Task = ask(question, data)
    except AssistantError as error:
        raise CommandFailed(str(error)) from None
    return task


def _print(task: "Task", *, as_json: bool) -> None:
    from cli.printing import print_json, print_plain

    values = asdict(task)
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        if value is not None:
            print_plain(f"{name:17}" + str(value).replace("\n", f"\n{'':17}"))
