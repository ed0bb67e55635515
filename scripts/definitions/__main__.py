"""`python -m scripts.definitions`: write the tables anew from the packages, the same bytes every time."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from apothecary.fhir.definitions import Definitions, ExtensionDefinition
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import TypeTable
from scripts.definitions import hl7_terminology, page
from scripts.definitions.compartments import compartments
from scripts.definitions.extensions import extensions
from scripts.definitions.ledger import Repairs
from scripts.definitions.packages import ALL, manifest, obtain, read_source
from scripts.definitions.profiles import profiles, value_sets, vital_signs
from scripts.definitions.search import SearchCompiler
from scripts.definitions.structures import TypeCompiler, core_types, index, words
from scripts.definitions.valuesets import ValueSetCompiler

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "server/apothecary/fhir/data"


def compile_release(version: FhirVersion, cache: Path, folder: Path) -> list[str]:
    """Write the tables of one release into the empty `folder`; the answer is what no row of repairs.py covers."""
    source = read_source(version, cache)
    repairs = Repairs(version)
    types = core_types(source)
    _write(folder / "types.json", _lines(index(types)))
    _write(folder / "words.json", _lines(words(types)))
    compiler = TypeCompiler(source, repairs)
    tables = {name: compiler.table(name) for name in sorted(types)}
    for name, table in tables.items():
        _write(folder / "types" / f"{name}.json", _type_text(table))
    published = extensions(source, repairs)
    _write(folder / "extensions.json", _lines(published))

    _write(folder / "compartments.json", _lines(compartments(source)))

    so_far = Definitions(version, folder)
    profiled = profiles(source, so_far, repairs)
    _write(folder / "profiles.json", _lines(profiled))
    _write(folder / "vital_signs.json", _lines(vital_signs(source)))

    search = SearchCompiler(source, so_far, repairs)
    for name, parameters in search.tables().items():
        _write(folder / "search" / f"{name}.json", _lines(parameters))

    compiler_of_sets = ValueSetCompiler(source)
    bound = {*_bound(tables, published), *value_sets(profiled)}
    compiled = {url: compiler_of_sets.value_set(url) for url in sorted(bound)}
    _write(folder / "valuesets.json", _lines(compiled))
    _write(folder / "codesystems.json", _lines(compiler_of_sets.code_systems()))
    return search.problems + [f"not needed any more: {where}" for where in repairs.unused()]


def compile_terminology(cache: Path, folder: Path) -> None:
    """Write the tables of HL7's terminology, which serve all releases."""
    shutil.rmtree(folder, ignore_errors=True)
    published = hl7_terminology.read(cache)
    _write(folder / "codesystems.json", _lines(hl7_terminology.code_systems(published)))
    _write(folder / "valuesets.json", _lines(hl7_terminology.value_sets(published)))
    _write(folder / "systems.json", _lines(hl7_terminology.named_systems(published)))


def _bound(tables: Mapping[str, TypeTable], published: Mapping[str, ExtensionDefinition]) -> set[str]:
    """The urls of all value sets bound required or extensible."""
    bindings = [element.binding for table in tables.values() for element in table.elements]
    waiting = list(published.values())
    while waiting:
        extension = waiting.pop()
        bindings.append(extension.binding)
        waiting.extend(extension.extensions)
    return {found.value_set for found in bindings if found is not None and found.strength in ("required", "extensible")}


def _json(value: Any) -> str:
    return msgspec.json.encode(_short(msgspec.to_builtins(value))).decode()


def _short(value: Any) -> Any:
    """`value` without the empty end of its arrays, which decode to the same: `["Quantity"]` for `["Quantity", []]`."""
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_short(item) for item in value]
        return items[:-1] if len(items) > 1 and items[-1] == [] else items
    return value


def _lines(members: Mapping[str, Any]) -> str:
    """A JSON object with one member a line, sorted."""
    rows = (f"{_json(name)}:{_json(value)}" for name, value in sorted(members.items()))
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _type_text(table: TypeTable) -> str:
    """A type with one element or invariant a line, in specification order."""
    head = {name: value for name, value in msgspec.to_builtins(table).items() if value not in (None, ())}
    rows = {name: head.pop(name, ()) for name in ("invariants", "elements")}
    lists = (f'"{name}":[\n' + ",\n".join(map(_json, row)) + "\n]" for name, row in rows.items() if row)
    return _json(head)[:-1] + "".join(f",\n{text}" for text in lists) + "}\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Compile every release; 1 when something published is broken in a way the table of repairs does not know."""
    parser = argparse.ArgumentParser(prog="python -m scripts.definitions", description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache", help="where the packages are kept (%(default)s)")
    parser.add_argument("--output", type=Path, default=DATA, help="where the tables go (%(default)s)")
    options = parser.parse_args(arguments)

    problems = []
    for version in FhirVersion:
        folder = options.output / version.segment
        shutil.rmtree(folder, ignore_errors=True)
        problems += [f"{version}: {problem}" for problem in compile_release(version, options.cache, folder)]
    compile_terminology(options.cache, options.output / "terminology")
    sources = {}
    for package in ALL:
        found = manifest(obtain(package, options.cache))
        sources[package.name] = {"version": package.version, "sha256": package.sha256, "license": found["license"]}
    _write(options.output / "packages.json", _lines(sources))
    if options.output == DATA:
        page.update(ROOT / "docs/definitions.md")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
