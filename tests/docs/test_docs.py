"""The documentation is complete and its links lead somewhere: what is undocumented or broken fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import Field, fields
from html import unescape
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# [text](target) and ![text](target "title"); code is removed before.
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
# [label]: target, and [label] alone, which GitHub shows with its brackets where the label has no target.
DEFINITION = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)
SHORTCUT = re.compile(r"(?<!\])\[([^\]]+)\](?![(\[:])")
CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def links(text: str) -> list[str]:
    """The targets of all links outside code; and in brackets, on a page that has labels, those without a target."""
    plain = CODE.sub("", text)
    targets = dict(DEFINITION.findall(plain))
    labels = SHORTCUT.findall(DEFINITION.sub("", plain)) if targets else []
    return [*LINK.findall(plain), *targets.values(), *(f"[{label}]" for label in labels if label not in targets)]


def anchors(text: str) -> set[str]:
    """The fragments that a page offers: its headings as GitHub spells them, lower case, hyphens for spaces."""
    outside_fences = re.sub(r"^(```|~~~).*?^\1[^\n]*$", "", text, flags=re.MULTILINE | re.DOTALL)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(outside_fences))
    return {heading.replace(" ", "-") for heading in plain}


def broken_links(page: Path) -> list[str]:
    """The relative links of `page` whose file, folder or heading does not exist."""
    broken = []
    for link in links(page.read_text()):
        if re.match(r"[a-z][a-z+.-]*:|//", link):
            continue
        if link.startswith("["):
            broken.append(link)
            continue
        target, _, fragment = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (fragment and path.suffix == ".md" and fragment not in anchors(path.read_text())):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A heading, with `code`!\n```\n# not a heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[ok](other.md) [ok](other.md#a-heading-with-code) [ok](https://hl7.org/fhir/) [ok](#here) ![ok](.)\n# Here\n"
        "[gone](missing.md) [gone](other.md#not-a-heading) [gone](#there) `[code](not-a-link.md)`\n"
        "```\n[code](not-a-link.md)\n```\n"
        "[one], [two] and [three]\n\n[one]: other.md\n[two]: gone.md\n"
    )
    assert broken_links(page) == ["missing.md", "other.md#not-a-heading", "#there", "gone.md", "[three]"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != ROOT], ids=name)
def test_every_page_is_reachable_from_the_index_or_the_readme(page: Path) -> None:
    doors = [ROOT / "docs" / "index.md", ROOT / "README.md"]
    reachable = {(door.parent / link.partition("#")[0]).resolve() for door in doors for link in links(door.read_text())}
    assert page in reachable


def settings() -> list[Field[Any]]:
    """The fields of `apothecary.settings.Settings`."""
    return list(fields(import_module("apothecary.settings").Settings)) if find_spec("apothecary.settings") else []


def variable(field: Field[Any]) -> str:
    return f"APOTHECARY_{field.name.upper()}"


def shown_default(field: Field[Any]) -> str:
    """A default as one writes it in the environment."""
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


@pytest.mark.parametrize("field", settings(), ids=variable)
def test_every_setting_is_documented_with_its_default_and_meaning(field: Field[Any]) -> None:
    default = f"`{shown_default(field)}`" if shown_default(field) else ""
    table = [unescape(line) for line in lines_of("settings.md") if line.startswith("|")]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table]
    assert [f"`{variable(field)}`", default, field.metadata["doc"]] in rows


@pytest.mark.skipif(not settings(), reason="needs the settings")
def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = {variable(field) for field in settings()}
    named = {
        (name(page), found)
        for page in PAGES
        for found in re.findall(r"APOTHECARY_[A-Z][A-Z_]*[A-Z]", page.read_text())
        if not found.startswith("APOTHECARY_TEST_")
    }
    assert {(page, found) for page, found in named if found not in known} == set()


def commands(command: click.Command, path: tuple[str, ...] = ("apothecary",)) -> Iterator[tuple[str, click.Command]]:
    """Every runnable command below `command`, with the words that call it."""
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for each in command.list_commands(context):
        if child := command.get_command(context, each):
            yield from commands(child, (*path, each))


def command_line() -> list[tuple[str, click.Command]]:
    main = getattr(import_module("apothecary.cli"), "main", None)
    return list(commands(main)) if isinstance(main, click.Command) else []


@pytest.mark.parametrize(
    ("words", "command"), command_line(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_documented(words: str, command: click.Command) -> None:
    """In its own section, or in that of the group that it belongs to."""
    text, group = section_of("cli.md", words), words.rpartition(" ")[0]
    if f"\n## `{group}`" in (ROOT / "docs" / "cli.md").read_text():
        text += section_of("cli.md", group)
    assert undocumented(command, text) == []


def undocumented(command: click.Command, text: str) -> list[str]:
    """The long names of the options of `command` that `text` does not have in backticks."""
    options = [max(parameter.opts, key=len) for parameter in command.params if isinstance(parameter, click.Option)]
    return [option for option in options if not re.search(rf"`{re.escape(option)}[` =]", text)]


def test_an_undocumented_option_is_noticed() -> None:
    @click.group()
    def main() -> None: ...

    @main.command()
    @click.option("--port", "-p")
    @click.option("--host")
    def serve(port: str, host: str) -> None: ...

    ((words, command),) = commands(main)
    assert words == "apothecary serve"
    assert undocumented(command, "`--hosts` and `--port PORT`") == ["--host"]


def section_of(page: str, heading: str) -> str:
    """What stands in `docs/<page>` under the heading that names `heading` in backticks."""
    text = "\n".join(lines_of(page))
    found = re.search(rf"^(#+) `{re.escape(heading)}`.*?(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/{page} has no section `{heading}`"
    return found.group()


def lines_of(page: str) -> list[str]:
    return (ROOT / "docs" / page).read_text().splitlines()
