"""The configuration of `apothecary validate`.

It is the table `[validate]` in apothecary.toml, or `[tool.apothecary.validate]` in pyproject.toml. The types here say
what may stand there: they read it, and `apothecary schema config` prints their JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from apothecary.content.documents import Document, Pointer
from apothecary.errors import ContentError, InvalidFile, Severity, StartError
from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.reports.report import shown_path

SCHEMA_ID = "urn:apothecary:schema:config"

_RELEASE = r"^\s*([Rr](4|4[Bb]|5)|4\.0(\.1)?|4\.3(\.0)?|5\.0(\.0)?)\s*$"


class ValidateTable(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What `apothecary validate` does where no option says otherwise."""

    fhir_version: (
        Annotated[
            str,
            Meta(
                pattern=_RELEASE,
                description="The FHIR release of resources that claim none: R4, R4B or R5. R5 when it is not given.",
                examples=[*FhirVersion],
                extra_json_schema={"errorMessage": "R4, R4B or R5"},
            ),
        ]
        | UnsetType
    ) = UNSET
    strict: Annotated[bool, Meta(description="Whether warnings fail the check, too.")] = False
    disable: Annotated[tuple[str, ...], Meta(description="Rules to switch off, by id.")] = ()
    severity: Annotated[dict[str, Severity], Meta(description="The severity of rules, by id.")] = {}
    exclude: Annotated[
        tuple[str, ...], Meta(description="Globs, relative to this file, of files in folders that are not checked.")
    ] = ()
    medication_rules: Annotated[
        bool, Meta(description="Whether the rules about medications are asked; false leaves what FHIR says.")
    ] = True
    baseline: (
        Annotated[str, Meta(description="A file of known findings, relative to this one, that are not told again.")]
        | UnsetType
    ) = UNSET
    max_issues: (
        Annotated[int, Meta(ge=0, description="Most findings that are shown; 0 shows all. 1000 when it is not given.")]
        | UnsetType
    ) = UNSET
    profiles: Annotated[
        tuple[str, ...], Meta(description="Profiles to check against: canonical URLs, or files relative to this one.")
    ] = ()
    packages: Annotated[
        tuple[str, ...],
        Meta(
            description="FHIR packages to know: folders or .tgz, relative to this file, or name#version of the cache."
        ),
    ] = ()
    package_cache: (
        Annotated[
            str,
            Meta(description="Where the packages are that others depend on, relative to this file. ~/.fhir/packages."),
        ]
        | UnsetType
    ) = UNSET


class ConfigFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What apothecary.toml holds, and `[tool.apothecary]` of pyproject.toml."""

    validate: ValidateTable | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Config:
    """What the configuration says; None where it is silent. `baseline`, `packages` and the files among `profiles` are
    resolved against the folder of the file.
    """

    fhir_version: FhirVersion | None = None
    strict: bool = False
    disable: tuple[str, ...] = ()
    severity: Mapping[str, Severity] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    medication_rules: bool = True
    baseline: Path | None = None
    max_issues: int | None = None
    profiles: tuple[str, ...] = ()
    packages: tuple[Path, ...] = ()
    package_cache: Path | None = None
    folder: Path = field(default_factory=Path)


def config_schema() -> dict[str, Any]:
    """The JSON Schema of apothecary.toml."""
    from apothecary.content.schemas import json_schema

    return json_schema(ConfigFile, SCHEMA_ID, "The configuration of Apothecary, apothecary.toml")


def find_config(start: Path) -> Config:
    """The configuration in `start` or the nearest folder above it that has one; the defaults when none has. Raises
    StartError for a file that is broken, or holds what means nothing.
    """
    for folder in (start, *start.parents):
        for name in ("apothecary.toml", "pyproject.toml"):
            path = folder / name
            if path.is_file() and (config := _read(path)) is not None:
                return config
    return Config()


def read_config(path: Path) -> Config:
    """The configuration in the file `path`, which must have one. Raises StartError."""
    config = _read(path)
    if config is None:
        raise StartError(f"{path}: has no table [{'.'.join((*_within(path), 'validate'))}]")
    return config


def _within(path: Path) -> tuple[str, ...]:
    """Where the tables of Apothecary stand in a file of that name."""
    return ("tool", "apothecary") if path.name == "pyproject.toml" else ()


def _read(path: Path) -> Config | None:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidFile((ContentError(shown_path(str(path)), line, 1, "the line is not UTF-8"),)) from None
    within = _within(path)
    if within and "apothecary" not in text:
        # Parsing the TOML of a big project would cost more than checking a resource.
        return None
    from apothecary.content.schemas import read_as
    from apothecary.content.toml import read_toml

    try:
        document = read_toml(shown_path(str(path)), text)
    except ContentError as error:
        raise InvalidFile((error,)) from None
    tools = document.value.get("tool")
    if within and not (isinstance(tools, dict) and "apothecary" in tools):
        return None
    table = read_as(ConfigFile, document, within).validate
    if isinstance(table, UnsetType):
        return None
    _check_rules(table, document, (*within, "validate"))
    return _config(path.parent, table)


def _check_rules(table: ValidateTable, document: Document, within: Pointer) -> None:
    """Raises InvalidFile for rules that do not exist: a misspelt id would switch nothing off."""
    named: list[tuple[Pointer, str]] = [
        *(((*within, "disable", number), rule) for number, rule in enumerate(table.disable)),
        *(((*within, "severity", rule), rule) for rule in table.severity),
    ]
    if not named:
        return
    from apothecary.cli.rules import no_such_rule
    from apothecary.content.schemas import placed

    faults = [(pointer, said) for pointer, rule in named if (said := no_such_rule(rule)) is not None]
    if faults:
        raise InvalidFile(placed(document, faults))


def _config(folder: Path, table: ValidateTable) -> Config:
    values = {name: value for name, value in asdict(table).items() if value is not UNSET}
    if "fhir_version" in values:
        values["fhir_version"] = parse_version(values["fhir_version"])
    if "baseline" in values:
        values["baseline"] = folder / values["baseline"]
    if "package_cache" in values:
        values["package_cache"] = folder / Path(values["package_cache"]).expanduser()
    # `name#version` is of the cache; so is what a folder of that name is, which nobody has.
    values["packages"] = tuple(Path(name) if "#" in name else folder / name for name in table.packages)
    values["profiles"] = tuple(name if is_url(name) else str(folder / name) for name in table.profiles)
    return Config(**values, folder=folder)


def is_url(profile: str) -> bool:
    """Whether a profile is named by its canonical url, and not as a file."""
    return "://" in profile or profile.startswith("urn:")
