"""The README's session runs as it is shown, against a server over the content that the repository ships."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.conformance.harness import ROOT, OverHttp, served
from tests.docs.sessions import SHOWN_ADDRESS, Command, mismatch, session
from tests.missing import missing
from tests.waiting import PATIENCE

SESSION = session((ROOT / "README.md").read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverHttp]:
    database = tmp_path_factory.mktemp("readme") / "readme.db"
    with served({"database": f"sqlite:///{database}", "content": str(ROOT / "resources")}) as live:
        yield live


@pytest.mark.parametrize("command", SESSION, ids=[command.line for command in SESSION])
def test_the_answer_is_the_one_that_is_shown(server: OverHttp, command: Command) -> None:
    if shutil.which("curl") is None:
        missing("curl is not installed")
    words = shlex.split(command.line.replace(SHOWN_ADDRESS, server.address))
    assert words[0] == "curl"
    answer = subprocess.run(
        [words[0], "--silent", *words[1:]], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    real = answer.stdout.replace(server.address, SHOWN_ADDRESS).splitlines()
    assert mismatch(command.shown, real) is None, answer.stdout[:3000]


def test_the_session_has_ten_requests_with_answers() -> None:
    assert len(SESSION) == 10
    assert all(len(command.shown) > 2 for command in SESSION)
