"""The configuration of `apothecary validate`.

It is the table `[validate]` in apothecary.toml, or `[tool.apothecary.validate]` in pyproject.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from apothecary.errors import Severity, StartError
from apothecary.fhir.releases import FhirVersion, parse_version


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
    folder: Path = field(default_factory=Path)


def find_config(start: Path) -> Config:
    """The configuration in `start` or the nearest folder above it that has one; the defaults when none has."""
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
        raise StartError(f"{path}: has no table [{_table(path)}]")
    return config


def _table(path: Path) -> str:
    return "tool.apothecary.validate" if path.name == "pyproject.toml" else "validate"


def _read(path: Path) -> Config | None:
    try:
        text = path.read_text(encoding="utf-8")
        if path.name == "pyproject.toml" and "apothecary" not in text:
            # Parsing the TOML of a big project would cost more than checking a resource.
            return None
        import tomllib

        document = tomllib.loads(text)
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StartError(f"{path}: {error}") from error
    except RecursionError:
        raise StartError(f"{path}: is nested too deeply") from None
    table: Any = document
    for name in _table(path).split("."):
        table = table.get(name) if isinstance(table, dict) else None
    return None if table is None else _config(path, table)


def _config(path: Path, table: Any) -> Config:
    if not isinstance(table, dict):
        raise StartError(f"{path}: {_table(path)} is not a table")
    values: dict[str, Any] = {"folder": path.parent}
    for key, value in table.items():
        reader = _READERS.get(key)
        if reader is None:
            raise StartError(
                f"{path}: {key!r} is not a key of [{_table(path)}]; they are {', '.join(sorted(_READERS))}"
            )
        try:
            values[key.replace("-", "_")] = reader(value)
        except ValueError as error:
            raise StartError(f"{path}: {key}: {error}") from error
    if "baseline" in values:
        values["baseline"] = path.parent / values["baseline"]
    values["packages"] = tuple(path.parent / name for name in values.get("packages", ()))
    values["profiles"] = tuple(name if is_url(name) else str(path.parent / name) for name in values.get("profiles", ()))
    return Config(**values)


def is_url(profile: str) -> bool:
    """Whether a profile is named by its canonical url, and not as a file."""
    return "://" in profile or profile.startswith("urn:")


def _version(value: Any) -> FhirVersion:
    version = parse_version(value) if isinstance(value, str) else None
    if version is None:
        raise ValueError("write R4, R4B or R5")
    return version


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("write a list of strings")
    return tuple(value)


def _severities(value: Any) -> dict[str, Severity]:
    if not isinstance(value, dict) or not all(each in get_args(Severity) for each in value.values()):
        raise ValueError(f"write a table of rule ids, each with one of {', '.join(get_args(Severity))}")
    return value


def _path(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("write a path")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("write a whole number from 0")
    return value


_READERS = {
    "fhir-version": _version,
    "strict": _boolean,
    "disable": _strings,
    "severity": _severities,
    "exclude": _strings,
    "medication-rules": _boolean,
    "baseline": _path,
    "max-issues": _count,
    "profiles": _strings,
    "packages": _strings,
}
