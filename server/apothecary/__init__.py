"""Apothecary: a FHIR server and validator for medication knowledge.

What Python programs use of it stands here by name, and is imported when it is first used: `import apothecary` loads
nothing else. `__init__.pyi` says the same to type checkers; `docs/python.md` tells how it is used.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

# Public name -> the module that holds it.
_HOMES = {
    "ApothecaryError": "apothecary.errors",
    "Conversion": "apothecary.versions",
    "Issue": "apothecary.errors",
    "convert": "apothecary.api.convert",
    "dumps": "apothecary.fhir.json",
    "load_profiles": "apothecary.api.validate",
    "models": "apothecary.api.models",
    "parse": "apothecary.fhir.json",
    "read": "apothecary.api.content",
    "search": "apothecary.api.content",
    "validate": "apothecary.api.validate",
}
__all__ = ["__version__", *_HOMES]


class CallableRoom(ModuleType):
    """A module that can be called like the public function of its name.

    `apothecary.search` is a package, too: whichever of the two is imported first, both uses of the name work
    (https://docs.python.org/3/reference/datamodel.html#customizing-module-attribute-access).
    """

    def __call__(self, *values: object, **named: object) -> object:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(_HOMES[name]), name)(*values, **named)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'apothecary' has no attribute {name!r}")
    if name == "search":
        return import_module("apothecary.search")
    found = globals()[name] = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
