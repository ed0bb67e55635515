"""Write the narrative of every resource under `resources/`: `python -m scripts.narrative [--check]`.

A narrative says nothing that the resource, or a resource it refers to, does not say; the same files always give the
same narrative. https://hl7.org/fhir/R5/narrative.html
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from scripts.narrative_rows import DESCRIBE, Library, Resource, describe
from scripts.narrative_sections import section_body

RESOURCES = Path(__file__).resolve().parent.parent / "resources"


def canonical(resource: Resource) -> str:
    """The text form every content file has: two spaces, UTF-8, one final newline."""
    return json.dumps(resource, indent=2, ensure_ascii=False) + "\n"


def read(folder: Path) -> dict[Path, Resource]:
    """Every `<ResourceType>/<id>.json` below `folder`; ValueError for a file that is not in the canonical text form."""
    found: dict[Path, Resource] = {}
    for path in sorted(folder.glob("*/*.json")):
        text = path.read_text(encoding="utf-8")
        resource: Resource = json.loads(text)
        if canonical(resource) != text:
            raise ValueError(f"{path}: not in the canonical form (two-space JSON that reads back to the same text)")
        found[path] = resource
    return found


def div(body: str, language: str) -> str:
    """The XHTML `div` of a Narrative around `body`."""
    return f'<div xmlns="http://www.w3.org/1999/xhtml" lang="{language}" xml:lang="{language}">{body}</div>'


def narrative(resource: Resource, library: Library) -> dict[str, str]:
    """The Narrative of `resource`; its status is `extensions` as soon as it shows what an extension holds."""
    title, notes, rows = describe(resource, library)
    body = f"<p><b>{escape(title)}</b></p>" + "".join(f"<p>{escape(note)}</p>" for note in notes)
    if rows:
        cells = "".join(f"<tr><th>{escape(label)}</th><td>{value}</td></tr>" for label, value in rows)
        body += f"<table><tbody>{cells}</tbody></table>"
    status = "extensions" if any(True for _ in _extensions(resource)) else "generated"
    return {"status": status, "div": div(body, resource.get("language", "en"))}


def _extensions(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node.get("extension", [])
        for key, child in node.items():
            if key not in ("text", "extension"):
                yield from _extensions(child)
    elif isinstance(node, list):
        for child in node:
            yield from _extensions(child)


def with_narrative(resource: Resource, library: Library) -> Resource:
    """A copy of `resource` with `text`, and with the text of each Composition section that has entries or is empty.

    A resource of a type that `DESCRIBE` does not know keeps the narrative it has.
    """
    if resource["resourceType"] not in DESCRIBE:
        return resource
    before = ("resourceType", "id", "meta", "implicitRules", "language")
    head = {key: resource[key] for key in before if key in resource}
    rest = {key: value for key, value in resource.items() if key not in before and key != "text"}
    if resource["resourceType"] == "Composition":
        rest["section"] = [_section(section, library, resource.get("language", "en")) for section in rest["section"]]
    return {**head, "text": narrative({**head, **rest}, library), **rest}


def _section(section: Resource, library: Library, language: str) -> Resource:
    body = section_body(section, library)
    if body is None:  # an authored text: the only place where prose is content
        return section
    text = {"status": "generated", "div": div(body, language)}
    before = ("extension", "title", "code", "author", "focus")
    head = {key: section[key] for key in before if key in section}
    return {**head, "text": text, **{key: value for key, value in section.items() if key not in (*before, "text")}}


def main(arguments: list[str] | None = None) -> int:
    """Bring every narrative up to date; with `--check`, only name the stale ones and return 1."""
    parser = argparse.ArgumentParser(prog="python -m scripts.narrative", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a narrative is stale")
    parser.add_argument("folder", nargs="?", type=Path, default=RESOURCES)
    options = parser.parse_args(arguments)
    files = read(options.folder)
    library = Library(files.values())
    stale = 0
    for path, resource in files.items():
        fresh = with_narrative(resource, library)
        if fresh != resource:
            stale += 1
            print(f"{'stale' if options.check else 'wrote'} {path.relative_to(options.folder)}")
            if not options.check:
                path.write_text(canonical(fresh), encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
