"""`python -m simulator`: serve, and print one JSON line with the address on stdout."""

import argparse
import json
import os
import sys

from simulator.server import serve


def main() -> int:
    """Run the simulator; secrets come from the environment, where other users' `ps` does not show them."""
    parser = argparse.ArgumentParser(prog="simulator", description="A local Messages API; no model stands behind it.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 lets the system pick one")
    parser.add_argument(
        "--api-key",
        default=os.environ.get("SIMULATOR_API_KEY") or None,
        help="take only this key (default: SIMULATOR_API_KEY; without one, any key)",
    )
    parser.add_argument(
        "--control-token",
        default=os.environ.get("SIMULATOR_CONTROL_TOKEN"),
        help="token of the control endpoints (default: SIMULATOR_CONTROL_TOKEN; without one, they are off)",
    )
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="end when stdin does, so as not to outlive a parent"
    )
    options = parser.parse_args()
    try:
        serve(
            options.port,
            api_key=options.api_key,
            control_token=options.control_token,
            exit_with_stdin=options.exit_with_stdin,
            started=_announce,
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"simulator: cannot serve on 127.0.0.1:{options.port}: {reason}; pick another --port\n")
        return 1
    return 0


def _announce(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
