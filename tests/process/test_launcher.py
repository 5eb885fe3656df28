"""The launcher in a checkout of its own, under /bin/bash: what it makes, what it keeps, and what it says."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
BASH = shutil.which("bash") or "/bin/bash"
TOOLS = ("bash", "sh", "cp", "mv", "rm", "ls", "mkdir", "readlink", "touch", "sleep", "cat")

NO_MORE: Mapping[str, str] = {}

COMMAND = """
import importlib.util, json, os, sys
found = [name for name in ("one", "two") if importlib.util.find_spec(name)]
print(json.dumps({"arguments": sys.argv[1:], "cwd": os.getcwd(), "found": found, "prefix": sys.prefix}))
"""

# In uv's place: `uv pip install --python P --require-hashes -r F` makes an empty module of each name in F; where
# UV_HANGS names a file, it leaves one module half-way, says there who it is, and waits to be killed. (No `exec sleep 120`: a
# SIGINT that comes as the shell turns into it is lost.)
UV = """#!/bin/sh
[ "$1" = --version ] && exit 0
[ -n "$UV_FAILS" ] && echo "uv: no route to registry" >&2 && exit 2
site=$("$4" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ -n "$UV_HANGS" ]; then
    touch "$site/half.py" && echo $$ >"$UV_HANGS.new" && mv "$UV_HANGS.new" "$UV_HANGS"
    while :; do sleep 0.1; done
fi
while read -r name; do touch "$site/$name.py"; done <"$7"
"""

# A Python that says it is itself and cannot make environments, or makes one that cannot get pip.
BROKEN_PYTHON = """#!/bin/sh
case "$*" in
    *_base_executable*) echo "$0" ;;
    *"-m venv"*) [ "$LACKS" = venv ] && exit 1; mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    *ensurepip* | *"import pip"*) exit 1 ;;
    *) exec {python} "$@" ;;
esac
"""


class Checkout:
    """A folder with the launcher, two small requirements files and a command that says what it sees."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder = folder
        self.tools = tools
        shutil.copy(CHECKOUT / "jobs", folder)
        (folder / "cli").mkdir()
        (folder / "cli" / "__main__.py").write_text(COMMAND)
        (folder / "requirements.txt").write_text("one\n")
        (folder / "requirements-test.txt").write_text("one\ntwo\n")

    def start(
        self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] = NO_MORE
    ) -> subprocess.Popen[str]:
        """The launcher as a session of its own, so that a signal can go to all of it as from a terminal."""
        return subprocess.Popen(
            [BASH, self.folder / "jobs", *arguments],
            env={"PATH": str(self.tools), "HOME": str(self.folder), **env},
            cwd=cwd or self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] = NO_MORE) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of one start."""
        process = self.start(*arguments, cwd=cwd, env=env)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def found(self, *arguments: str) -> list[str]:
        """The modules that the command found, after a start that must succeed."""
        code, out, err = self.run(*arguments)
        assert code == 0, err
        found: list[str] = json.loads(out)["found"]
        return found

    def hang(self, mark: Path) -> tuple[subprocess.Popen[str], int]:
        """A start that is in the middle of installing, and the installer's pid."""
        process = self.start(env={"UV_HANGS": str(mark)})
        deadline = time.monotonic() + 60
        while not mark.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process, int(mark.read_text())


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """All that is on PATH: a few tools of the system, Python, and an installer that needs no network."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    write_program(tools / "uv", UV)
    return tools


@pytest.fixture
def checkout(tmp_path: Path, tools: Path) -> Checkout:
    """A fresh checkout whose name has a space in it."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    return Checkout(folder, tools)


def write_program(path: Path, text: str) -> None:
    """Put an executable script in the place of whatever is there."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_the_first_start_makes_the_environment_and_says_so_on_stderr_only(checkout: Checkout, tmp_path: Path) -> None:
    code, out, err = checkout.run("ls", "two words", cwd=tmp_path)
    assert code == 0
    assert json.loads(out) == {
        "arguments": ["ls", "two words"],
        "cwd": str(tmp_path),
        "found": ["one"],
        "prefix": str(checkout.folder / ".venv"),
    }
    assert err.startswith(f"jobs: making the environment in {checkout.folder}/.venv from requirements.txt")


def test_a_later_start_installs_nothing_and_needs_nothing_but_bash(checkout: Checkout) -> None:
    checkout.run()
    for tool in checkout.tools.iterdir():
        tool.unlink()
    code, _, err = checkout.run()
    assert (code, err) == (0, "")


def test_neither_the_callers_folder_nor_its_python_variables_get_in_the_way(checkout: Checkout, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile"
    (hostile / "cli").mkdir(parents=True)
    for name in ("cli/__main__.py", "json.py", "one.py", "sitecustomize.py"):
        (hostile / name).write_text("raise SystemExit('the wrong one')")
    names = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "CDPATH", "PIP_TARGET")
    variables = dict.fromkeys(names, str(hostile))
    for _ in ("first start", "later start"):
        code, out, err = checkout.run(cwd=hostile, env=variables)
        assert code == 0, err
        assert json.loads(out)["cwd"] == str(hostile)


def test_what_was_compiled_is_kept_in_the_environment_whatever_the_caller_says_of_his(checkout: Checkout) -> None:
    (checkout.folder / "cli" / "__init__.py").touch()
    checkout.run(env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(checkout.folder / "his")})
    compiled = {file.relative_to(checkout.folder).parts[:2] for file in checkout.folder.rglob("*.pyc")}
    assert compiled == {(".venv", "pycache")}


def test_it_finds_its_checkout_through_a_link(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "jobs").symlink_to("../a checkout/jobs")
    called = [BASH, str(tmp_path / "elsewhere" / "jobs")]
    done = subprocess.run(called, env={"PATH": str(checkout.tools)}, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["prefix"] == str(checkout.folder / ".venv")


def test_a_changed_requirements_file_is_installed_at_the_next_start(checkout: Checkout) -> None:
    assert checkout.found() == ["one"]
    (checkout.folder / "requirements.txt").write_text("one\ntwo\n")
    assert checkout.found() == ["one", "two"]


def test_the_tests_requirements_are_installed_for_tests_and_stand_for_the_programs(checkout: Checkout) -> None:
    checkout.run()
    assert checkout.found("test") == ["one", "two"]
    for arguments in ([], ["test"]):
        assert checkout.run(*arguments)[2] == ""


def test_the_tests_requirements_really_hold_the_programs() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (CHECKOUT / name).read_text(), flags=re.MULTILINE))

    assert pins("requirements.txt") <= pins("requirements-test.txt")
    assert pins("requirements.txt")


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.run()
    python = checkout.folder / ".venv" / "bin" / "python3"
    python.unlink()
    python.symlink_to("/nonexistent/python3")
    assert checkout.found() == ["one"]


def test_of_two_first_starts_at_once_one_makes_the_environment_for_both(checkout: Checkout) -> None:
    both = [checkout.start(), checkout.start()]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("making the environment" in err for err in said) == 1


def test_a_ctrl_c_in_the_middle_leaves_nothing_that_counts(checkout: Checkout, tmp_path: Path) -> None:
    process, _ = checkout.hang(tmp_path / "mark")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("jobs: stopped; the next start makes the environment anew\n")
    assert_the_next_start_begins_anew(checkout)


def test_a_kill_of_everything_in_the_middle_leaves_nothing_that_counts(checkout: Checkout, tmp_path: Path) -> None:
    process, _ = checkout.hang(tmp_path / "mark")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert_the_next_start_begins_anew(checkout)


def assert_the_next_start_begins_anew(checkout: Checkout) -> None:
    """What the installer left half-way is gone, which an installer would have taken for installed."""
    code, out, err = checkout.run()
    assert code == 0
    assert json.loads(out)["found"] == ["one"]
    assert err.startswith("jobs: an earlier start was cut off\n")
    assert not list((checkout.folder / ".venv").rglob("half.py"))


def test_a_start_waits_for_an_installer_that_outlived_its_launcher(checkout: Checkout, tmp_path: Path) -> None:
    killed, installer = checkout.hang(tmp_path / "mark")
    killed.kill()
    killed.wait()
    waiting = checkout.start()
    assert waiting.stderr
    assert "waiting for it" in waiting.stderr.readline()
    assert waiting.poll() is None
    os.kill(installer, signal.SIGKILL)
    out, _ = waiting.communicate(timeout=60)
    assert json.loads(out)["found"] == ["one"]
    killed.communicate()


def test_a_python_that_is_too_old_is_refused(checkout: Checkout) -> None:
    write_program(checkout.tools / "python3", "#!/bin/sh\nexit 1\n")
    code, out, err = checkout.run()
    assert (code, out) == (1, "")
    assert err == (
        "jobs: Jobs needs Python 3.11 or newer and found none: install it "
        "(Debian, Ubuntu: apt install python3 python3-venv)\n"
    )


@pytest.mark.parametrize("part", ["venv", "ensurepip"])
def test_a_python_that_cannot_make_environments_says_what_to_install(checkout: Checkout, part: str) -> None:
    (checkout.tools / "uv").unlink()
    write_program(checkout.tools / "python3", BROKEN_PYTHON.replace("{python}", sys.executable))
    code, out, err = checkout.run(env={"LACKS": part})
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        f"jobs: {checkout.tools}/python3 cannot make an environment: install its venv module "
        "(Debian, Ubuntu: apt install python3-venv)"
    )


@pytest.fixture
def read_only(tools: Path) -> Iterator[Checkout]:
    """A checkout that its user may not write, where that user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="jobs-test-"))
    checkout = Checkout(folder, tools)
    folder.chmod(0o555)
    yield checkout
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_checkout_says_where_the_environment_can_go(read_only: Checkout) -> None:
    as_a_user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []  # modes do not bind root
    done = subprocess.run([*as_a_user, BASH, read_only.folder / "jobs"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"jobs: cannot write {read_only.folder}/.venv: make it writable, "
        "or name another folder for the environment with JOBS_VENV=DIR\n"
    )


def test_the_environment_can_lie_elsewhere(checkout: Checkout, tmp_path: Path) -> None:
    code, out, _ = checkout.run(cwd=tmp_path, env={"JOBS_VENV": "some/where"})
    assert code == 0
    assert json.loads(out)["prefix"] == str(tmp_path / "some" / "where")
    assert not (checkout.folder / ".venv").exists()


def test_a_folder_with_other_things_in_it_is_never_cleared(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "home" / "bin").mkdir(parents=True)
    (tmp_path / "home" / "bin" / "tool").touch()
    code, _, err = checkout.run(env={"JOBS_VENV": str(tmp_path / "home")})
    assert code == 1
    assert err.endswith("/home holds other things: name an empty folder with JOBS_VENV=DIR\n")
    assert (tmp_path / "home" / "bin" / "tool").exists()


def test_a_registry_that_cannot_be_reached_is_said_last_and_tried_again(checkout: Checkout) -> None:
    nothing = {"UV_FAILS": "1", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    code, out, err = checkout.run(env=nothing)
    assert (code, out) == (1, "")
    assert "uv: no route to registry" in err
    assert err.splitlines()[-1].startswith(
        "jobs: could not install requirements.txt, see above: is the package registry"
    )
    assert checkout.found() == ["one"]


def test_without_uv_pip_installs_what_the_hashes_allow(checkout: Checkout) -> None:
    """With the real registry, and one small wheel of our own requirements."""
    (checkout.tools / "uv").unlink()
    pinned = re.search(r"^idna==.*(\n    --hash.*)+", (CHECKOUT / "requirements.txt").read_text(), flags=re.MULTILINE)
    assert pinned
    text = pinned[0].removesuffix(" \\") + "\n"
    (checkout.folder / "requirements.txt").write_text(re.sub("sha256:.{64}", "sha256:" + "0" * 64, text))
    (checkout.folder / "cli" / "__main__.py").write_text("import idna; print(idna.__version__)")
    registry = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP"))}
    code, _, err = checkout.run(env=registry)
    if "DO NOT MATCH THE HASHES" not in err:
        assert re.search("No matching distribution|Could not find a version|[Cc]onnection", err), err
        pytest.skip("the package registry cannot be reached")
    assert code == 1
    (checkout.folder / "requirements.txt").write_text(text)
    code, out, err = checkout.run(env=registry)
    assert (code, out) == (0, text.split("==")[1].split()[0] + "\n"), err
