"""A content folder with its sheets: what is to be built from them, what differs, and what is to be removed.

Nothing is written unless every sheet is sound. https://hl7.org/fhir/R5/resource.html#id
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apothecary.authoring import ledger
from apothecary.authoring.build import Built, ReadSheet, build, reference_of
from apothecary.authoring.narrative import with_narrative
from apothecary.authoring.pen import CODES
from apothecary.authoring.rows import Library
from apothecary.authoring.sheet import checked, sheet_schema
from apothecary.authoring.terms import FILE, Vocabulary, read_terminologies, terminologies_schema
from apothecary.authoring.writing import SCHEMA_FILE, TERMS_SCHEMA
from apothecary.content.documents import Document, Pointer
from apothecary.content.files import SHEETS, read_folder
from apothecary.content.schemas import placed
from apothecary.content.write import file_text, replace_file
from apothecary.content.yaml import read_yaml
from apothecary.errors import ContentError, InvalidFile, StartError
from apothecary.fhir.json import JSON

# The content's own code systems that sheets use.
NEEDED = (
    *("assertion-basis", "claim-category", "claim-regulatory-status", "effect-statement", "limitation-type"),
    "therapy-relationship",
)
# A sheet is a page; what is longer than this is none.
MAX_SHEET = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Held:
    """What a content folder holds before anything is built."""

    folder: Path
    resources: Mapping[str, JSON]
    paths: Mapping[str, Path]
    vocabulary: Vocabulary


@dataclass(slots=True)
class Plan:
    """What building would write and remove, by file. `unverified` are lines to tell."""

    write: dict[Path, bytes] = field(default_factory=dict)
    remove: list[Path] = field(default_factory=list)
    resources: dict[str, JSON] = field(default_factory=dict)
    unverified: list[str] = field(default_factory=list)
    ledger: str = ""
    built: int = 0

    @property
    def is_current(self) -> bool:
        """Whether the folder is what the sheets say already."""
        return not self.write and not self.remove

    def carry_out(self) -> None:
        """Write and remove the files. Raises StartError where that cannot be."""
        for path, data in self.write.items():
            replace_file(path, data)
        for path in self.remove:
            try:
                path.unlink()
            except OSError as error:
                raise StartError(f"{path}: cannot be removed: {error.strerror}") from error


def read_held(folder: Path) -> Held:
    """The resources and the terminologies of a content folder. Raises ContentError."""
    if not folder.is_dir():
        raise StartError(f"{folder}: there is no such folder")
    resources: dict[str, JSON] = {}
    paths: dict[str, Path] = {}
    for file in read_folder(folder):
        resources[f"{file.resource_type}/{file.id}"] = file.value
        paths[f"{file.resource_type}/{file.id}"] = file.path
    terms = folder / SHEETS / FILE
    listed = read_terms(terms) if terms.exists() else {}
    own = [one for one in resources.values() if one["resourceType"] == "CodeSystem"]
    return Held(folder, resources, paths, Vocabulary(listed, own))


def schemas() -> dict[str, bytes]:
    """The files beside the sheets by which editors complete and check them."""
    found = {SCHEMA_FILE: sheet_schema(), TERMS_SCHEMA: terminologies_schema()}
    return {name: (json.dumps(schema, indent=1) + "\n").encode() for name, schema in found.items()}


def read_terms(path: Path) -> dict[str, Any]:
    """The terminologies that a file lists, by key. Raises InvalidFile with every fault at its place."""
    return read_terminologies(_document(path))


def sheet_paths(folder: Path) -> list[Path]:
    """The sheets of a content folder."""
    return sorted(path for path in (folder / SHEETS).glob("*.yaml") if path.name != FILE)


def read_sheet(path: Path) -> ReadSheet:
    """The sheet in a file. Raises InvalidFile with every fault at its place, ContentError for what is no text."""
    document = _document(path)
    return ReadSheet(path, document, checked(document))


def _document(path: Path) -> Document:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SHEET + 1)
    except OSError as error:
        raise ContentError(str(path), 0, 0, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_SHEET:
        raise ContentError(str(path), 1, 1, f"is longer than {MAX_SHEET} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentError(str(path), 0, 0, "is not UTF-8") from error
    return read_yaml(os.fspath(path), text)


def read_table(folder: Path, key: str) -> dict[str, dict[str, JSON]]:
    """The claims of each source in the ledger of a content folder; `key` is the source of those that name none."""
    path = folder / ledger.FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {key: {}}
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError(str(path), 0, 0, f"cannot be read: {error}") from error
    return table_of(text, key, str(path))


def table_of(text: str, key: str, whence: str) -> dict[str, dict[str, JSON]]:
    """The claims of each source in the text of a ledger. Raises ContentError for what is no ledger."""
    try:
        found = ledger.read_ledger(text)
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ContentError(
            whence, 0, 0, "is no ledger of claims: its columns are claim, line, statement, resources"
        ) from error
    return {each or key: claims for each, claims in found.items()}


def check_definitions(held: Held) -> None:
    """Raises StartError where the content lacks the code systems that sheets use: without them nothing can be built."""
    urls = {one["url"] for one in held.resources.values() if "url" in one}
    missing = [name for name in NEEDED if f"{CODES}{name}" not in urls]
    if missing:
        said = f"{held.folder} lacks the code systems that sheets use: {', '.join(missing)}"
        raise StartError(f"{said}. Copy CodeSystem, ValueSet and StructureDefinition from Apothecary's own resources.")


def plan(held: Held, sheets: Iterable[ReadSheet], only: Iterable[Path] = (), *, narratives: bool = False) -> Plan:
    """What building `sheets` into a content folder would change; with `only`, of these sheets' drugs, and of what all
    share; with `narratives` also the generated narratives of all else. Raises InvalidFile with every fault of every
    sheet.
    """
    check_definitions(held)
    sheets = [*sheets]
    found = [build(one, held.vocabulary, _publisher(held, one)) for one in sheets]
    _raise_faults(found, held)
    made = Plan()
    made.unverified = [line for one in found for line in _unverified(one)]
    chosen = {*only}
    wanted = chosen or {one.path for one in sheets}
    mine = [one for one in found if one.sheet.path in wanted]
    new = {reference_of(resource): resource for one in found for resource in one.resources}
    gone = {reference for one in found for reference in _before(held, one.sheet.value) if reference not in new}
    rest = {key: value for key, value in held.resources.items() if key not in new and key not in gone}
    fragments, stale = _fragments(held, {**rest, **new})
    everything = {**{key: value for key, value in rest.items() if key not in stale}, **new, **fragments}
    library = Library(everything.values())
    touched = {*fragments, *(reference_of(resource) for one in mine for resource in one.resources)}
    made.built = len(touched)
    if narratives:
        touched |= {
            key for key, one in rest.items() if one.get("text", {}).get("status") in ("generated", "extensions")
        }
    for key, resource in everything.items():
        if key in touched:
            everything[key] = with_narrative(resource, library)
            _write(made, held, key, everything[key])
    made.remove = sorted({held.paths[key] for key in (*gone, *stale)})
    made.resources = everything
    for name, schema in schemas().items():
        _put(made, held.folder / SHEETS / name, schema)
    made.ledger = ledger.ledger((one.value for one in sheets), everything.values())
    _put(made, held.folder / ledger.FILE, made.ledger.encode())
    return made


def _publisher(held: Held, sheet: ReadSheet) -> str:
    editors = held.resources.get(f"Organization/{sheet.value['editors']}")
    if editors is None or "name" not in editors:
        said = f"the content has no Organization {sheet.value['editors']!r} with a name"
        raise InvalidFile(placed(sheet.document, [(("editors",), said)]))
    return str(editors["name"])


def _raise_faults(found: list[Built], held: Held) -> None:
    faults: list[ContentError] = []
    seen: dict[str, str] = {}
    keys: dict[str, str] = {}
    everything = {*held.resources, *(reference_of(resource) for one in found for resource in one.resources)}
    for one in found:
        here = [*one.faults]
        file = one.sheet.document.file
        for number, source in enumerate(one.sheet.value["sources"]):
            if source["key"] in keys:
                here.append((("sources", number, "key"), f"{source['key']!r} is a source of {keys[source['key']]}"))
            keys[source["key"]] = file
        for resource in one.resources:
            reference = reference_of(resource)
            if reference in seen:
                here.append((_place(one.sheet.value, reference), f"{reference} is built by {seen[reference]}, too"))
            seen[reference] = file
            missing = [target for target in _references(resource) if target not in everything]
            here += [(_place(one.sheet.value, target), f"there is no {target}") for target in missing]
        faults += placed(one.sheet.document, [*dict.fromkeys(here)])
    if faults:
        raise InvalidFile(tuple(faults))


def _place(value: Any, reference: str) -> Pointer:
    """Where a sheet names a resource, as a reference or by its id."""
    id = reference.partition("/")[2]

    def search(node: Any, place: Pointer) -> Iterator[Pointer]:
        if isinstance(node, dict):
            for key, child in node.items():
                yield from search(child, (*place, key))
        elif isinstance(node, list):
            for number, child in enumerate(node):
                yield from search(child, (*place, number))
        elif node in (reference, id):
            yield place

    return next(search(value, ()), ())


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _before(held: Held, sheet: Mapping[str, Any]) -> set[str]:
    """The resources that were built for a drug before: its monograph and Provenances, and what these name."""
    steps = {f"Provenance/{one['id']}" for one in sheet.get("provenance", ())}
    roots = {f"Composition/{sheet['drug']}-monograph", *steps}
    found = {one for one in roots if one in held.resources}
    for root in [*found]:
        resource = held.resources[root]
        entries = (one for part in resource.get("section", ()) for one in part.get("entry", ()))
        named = [*resource.get("target", ()), *entries]
        found |= {one["reference"] for one in named if one.get("reference") in held.resources}
    return found


def _fragments(held: Held, resources: Mapping[str, JSON]) -> tuple[dict[str, JSON], set[str]]:
    """The fragments of the terminologies whose codes `resources` use, and those that nothing uses any more."""
    used: dict[str, set[str]] = {}
    for resource in resources.values():
        if resource["resourceType"] != "CodeSystem":
            for system, code in _codes(resource):
                used.setdefault(system, set()).add(code)
    built, stale = {}, set()
    for key, one in held.vocabulary.listed.items():
        reference = f"CodeSystem/{one['id']}"
        known = {code for code in used.get(one["system"], ()) if code in one["codes"]}
        if known:
            built[reference] = held.vocabulary.fragment(key, known)
        elif reference in held.resources:
            stale.add(reference)
    return built, stale


def _codes(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if "system" in node and isinstance(node.get("code"), str) and not node.keys() & {"value", "unit"}:
            yield node["system"], node["code"]
        for child in node.values():
            yield from _codes(child)
    elif isinstance(node, list):
        for child in node:
            yield from _codes(child)


def _unverified(one: Built) -> Iterator[str]:
    for pointer, code in dict.fromkeys(one.unverified):
        line, column = one.sheet.document.positions.find(pointer)
        yield f"{one.sheet.document.file}:{line}:{column}: {code} is not verified, so it is not built"


def _write(made: Plan, held: Held, reference: str, resource: JSON) -> None:
    kind, _, id = reference.partition("/")
    path = held.paths.get(reference, held.folder / kind / f"{id}.json")
    _put(made, path, file_text(resource, path.suffix))


def _put(made: Plan, path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        made.write[path] = data
