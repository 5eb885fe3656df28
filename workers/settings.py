"""Settings of a worker process."""

from typing import Self

from pydantic import Field, model_validator

from jobs_core.settings import RoomSettings


class WorkerSettings(RoomSettings):
    """How much a worker takes on, and how it proves that it is alive."""

    slots: int = Field(10, ge=1, le=1000)
    """The most jobs one worker process runs at once; it never claims more than it can start."""
    lease_s: float = Field(15.0, ge=0.5, le=600)
    """How long a worker that says nothing keeps its jobs."""
    renew_s: float = Field(3.0, gt=0)
    """Time between renewals of the lease; at most a third of it."""
    upkeep_s: float = Field(1.0, gt=0, le=60)
    """The longest time between two looks for dead workers and due jobs."""
    poll_s: float = Field(5.0, gt=0, le=300)
    """The longest time between two looks for ready jobs; 1 s at most while LISTEN does not work."""
    drain_s: float = Field(30.0, ge=0, allow_inf_nan=False)
    """How long running jobs may go on after the first SIGTERM; what is left is handed back at no cost."""

    alone_processes: int = Field(10, ge=1, le=100)
    """The most processes that a supervisor runs beside its workers, each for one job whose run was lost with its worker."""
    worker_memory_bytes: int = Field(2 * 1024**3, ge=0)
    """A worker process that takes more memory than this itself is killed; 0: no limit."""
    worker_processes: int = Field(500, ge=0)
    """A worker process with more processes than this below it is killed with them; 0: no limit."""

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.renew_s > self.lease_s / 3:
            raise ValueError(
                f"JOBS_RENEW_S={self.renew_s:g} is more than a third of JOBS_LEASE_S={self.lease_s:g}: renew more often"
            )
        return self
