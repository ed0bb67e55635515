"""Finding the view for an address.

FHIR's addresses have a fixed form (https://hl7.org/fhir/R5/http.html#general), so those that nearly all requests have,
`[base]/[type]`, `[base]/[type]/[id]` and `[base]/[type]/[id]/_history/[vid]`, are told apart by splitting the
path. Measured: werkzeug's general matcher takes 15 to 20 microseconds for these. Every other address goes to it, and
so do errors, so that 404 and 405 have one origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.routing import Map, MapAdapter, Rule

Matched = tuple[Rule, Mapping[str, Any]]

_NUMBER = re.compile("[0-9]+")

# Where the WSGI environment says what was matched; missing where nothing was.
MATCHED = "apothecary.matched"


class OneWay(Rule):
    """A rule that leads from an address to its view and never back: links are made in `links` alone, and to compile
    what makes addresses takes longer than everything else that an application is made of.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return _never


def _never(rule: Rule, **values: Any) -> tuple[str, str]:
    raise LookupError(f"no addresses are made of {rule.rule}")


class Router:
    """The routes of type, instance and version, by base, number of segments and method."""

    def __init__(self, url_map: Map, bases: Mapping[str, Any]) -> None:
        self.url_map = url_map
        self._segments = {prefix.rpartition("/")[2]: prefix for prefix in bases if prefix.count("/") == 2}
        self._rules: dict[tuple[str, int, str], Rule] = {}
        for rule in url_map.iter_rules():
            for prefix in bases:
                instance = f"{prefix}/<resource_type>/<resource_id>"
                lengths = {f"{prefix}/<resource_type>": 1, instance: 2, f"{instance}/_history/<version_id>": 4}
                length = lengths.get(rule.rule)
                for method in rule.methods or () if length else ():
                    self._rules[prefix, length or 0, method] = rule

    def match(self, environ: Mapping[str, Any]) -> Matched | None:
        """The rule and its values for a plain address of a type, an instance or a version; None for any other."""
        parts: list[str] = environ["PATH_INFO"].split("/")
        if len(parts) < 3 or parts[0] or parts[1] != "fhir":
            return None
        prefix = "/fhir"
        values = parts[2:]
        if values[0] in self._segments:
            prefix = self._segments[values[0]]
            values = values[1:]
        # Types begin with a capital; nothing else at this place does.
        if not values or not values[0][:1].isupper() or not values[0].isalpha():
            return None
        rule = self._rules.get((prefix, len(values), environ["REQUEST_METHOD"]))
        if rule is None:
            return None
        if len(values) == 1:
            return rule, {"resource_type": values[0]}
        # An id is of a few characters; `_search`, `$validate` and what needs decoding are for the general matcher.
        if not values[1] or values[1][0] in "_$" or not values[1].isascii():
            return None
        found = {"resource_type": values[0], "resource_id": values[1]}
        if len(values) == 2:
            return rule, found
        # The number of a version needs no decoding either.
        return (
            (rule, found | {"version_id": values[3]})
            if values[2] == "_history" and _NUMBER.fullmatch(values[3])
            else None
        )


class Adapter:
    """What Flask asks for the view of one request; the general matcher is made only when it is needed."""

    __slots__ = ("_environ", "_general", "_router")

    def __init__(self, router: Router, environ: dict[str, Any]) -> None:
        self._router = router
        self._environ = environ
        self._general: MapAdapter | None = None

    def match(self, return_rule: bool = True) -> Matched:
        """Raises werkzeug's NotFound, MethodNotAllowed and RequestRedirect."""
        matched = self._router.match(self._environ) or self.general.match(return_rule=True)
        self._environ[MATCHED] = matched
        return matched

    @property
    def general(self) -> MapAdapter:
        if self._general is None:
            self._general = self._router.url_map.bind_to_environ(self._environ)
        return self._general

    def __getattr__(self, name: str) -> Any:
        return getattr(self.general, name)
