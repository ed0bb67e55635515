"""The README's session runs as it is shown, against a server over the content that the repository ships."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.harness import ROOT, OverHttp, served
from tests.missing import missing
from tests.waiting import PATIENCE

SHOWN_ADDRESS = "http://127.0.0.1:8080"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)

# In shown answers, `...` stands for what was left out: whole lines where it stands alone, else a part of a line.
ELLIPSIS = "..."


def session(text: str) -> list[tuple[str, list[str]]]:
    """Each command of the console blocks, with the lines that are shown as its answer."""
    found: list[tuple[str, list[str]]] = []
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found and "$ " in block:
                found[-1][1].append(line)
    return found


def mismatch(shown: list[str], real: list[str]) -> str | None:
    """The first shown line that the real answer does not have at its place; None where all are there in order."""
    position, anywhere = 0, False
    for line in shown:
        if line.strip() == ELLIPSIS:
            anywhere = True
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in line.rstrip().rstrip(",").split(ELLIPSIS)) + ",?")
        places = range(position, len(real) if anywhere else min(position + 1, len(real)))
        place = next((one for one in places if pattern.fullmatch(real[one].rstrip())), None)
        if place is None:
            return line
        position, anywhere = place + 1, False
    return None if anywhere or position == len(real) else "(the end)"


SESSION = session((ROOT / "README.md").read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverHttp]:
    database = tmp_path_factory.mktemp("readme") / "readme.db"
    with served({"database": f"sqlite:///{database}", "content": str(ROOT / "resources")}) as live:
        yield live


@pytest.mark.parametrize(("command", "shown"), SESSION, ids=[command for command, _ in SESSION])
def test_the_answer_is_the_one_that_is_shown(server: OverHttp, command: str, shown: list[str]) -> None:
    if shutil.which("curl") is None:
        missing("curl is not installed")
    words = shlex.split(command.replace(SHOWN_ADDRESS, server.address))
    assert words[0] == "curl"
    answer = subprocess.run(
        [words[0], "--silent", *words[1:]], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    real = answer.stdout.replace(server.address, SHOWN_ADDRESS).splitlines()
    assert mismatch(shown, real) is None, answer.stdout[:3000]


def test_the_session_has_ten_requests_with_answers() -> None:
    assert len(SESSION) == 10
    assert all(len(shown) > 2 for _, shown in SESSION)


@pytest.mark.parametrize(
    ("shown", "fits"),
    [
        (["{", '  "a": 1', "}"], True),
        (["...", '  "a": 1', "..."], True),
        (["...", '  "a": 2', "..."], False),
        (["{", "}"], False),
        (["{", '  "a": 1'], False),
        (["...", "}", '  "a": 1', "..."], False),
        (["{", '  "a...: 1', "}"], True),
    ],
)
def test_a_wrong_answer_would_be_noticed(shown: list[str], fits: bool) -> None:
    assert (mismatch(shown, ["{", '  "a": 1', "}"]) is None) is fits


def test_only_blocks_with_commands_are_run(tmp_path: Path) -> None:
    assert session("```console\nmake serve\n```\n```console\n$ curl x\nanswer\n```\n") == [("curl x", ["answer"])]
