"""The supervisor of that worker: `python -m tests.support.agents.supervise DSN SIMULATOR_URL FOLDER`."""

import sys

from workers.supervisor import Supervisor

if __name__ == "__main__":
    command = [sys.executable, "-m", "tests.support.agents.worker", *sys.argv[1:]]
    alone = [*command, "alone"]
    sys.exit(Supervisor(command, processes=2, drain_s=0.5, alone_command=alone, alone_processes=1).run())
