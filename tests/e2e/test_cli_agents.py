"""People and agents in a whole `./jobs up`."""

import json

from tests.support.up import Home


def test_who_tries_out_an_agent_with_the_token_is_the_owner_and_its_agent_has_a_folder(home: Home) -> None:
    with home.up() as up:
        tried = home.run("agent", "try", "assistant", "who are you?", "--json")
        assert tried.returncode == 0, tried.stderr + up.log.read_text()
        assert json.loads(tried.stdout)["status"] == "answered"
        (owner,) = json.loads(home.run("user", "list", "--json").stdout)
    assert owner["role"] == "owner"
    assert [folder.name for folder in (home.folder / "data" / "workspaces").iterdir()] == [owner["id"]]
