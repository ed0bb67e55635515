"""SearchParameters to `search/<Type>.json` (https://hl7.org/fhir/R5/searchparameter.html)."""

from __future__ import annotations

import re

from apothecary.fhir.definitions import Component, Definitions, SearchParameterDefinition
from apothecary.fhir.expressions import ExpressionError, branches, branches_for, leads_to, repair_expression
from scripts.definitions.ledger import Repairs
from scripts.definitions.packages import Resource, Source

_LINE_OF_TYPE = re.compile(r"^\s*\*\s*\[(?P<type>\w+)\]\([^)]*\):\s*(?P<text>.*?)\s*$", re.MULTILINE)


# What a component's type is when the parameter it names was never published.
_TYPE_OF_ELEMENT = {
    "CodeableConcept": "token", "boolean": "token", "code": "token", "Period": "date", "Quantity": "quantity",
    "canonical": "uri", "string": "string",
}  # fmt: skip
_SUITABLE = {
    "token": frozenset(
        {
            "CodeableConcept",
            "Coding",
            "code",
            "Identifier",
            "boolean",
            "ContactPoint",
            "string",
            "id",
            "uri",
            "canonical",
            "url",
            "oid",
            "uuid",
        }
    ),
    "string": frozenset(
        {"string", "HumanName", "Address", "markdown", "Annotation", "Narrative", "id", "code", "uri", "xhtml"}
    ),
    "reference": frozenset({"Reference", "canonical", "uri"}),
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing"}),
    "quantity": frozenset({"Quantity", "Money", "Age", "Duration", "Distance", "Count", "Range", "SampledData"}),
    "number": frozenset({"integer", "decimal", "positiveInt", "unsignedInt", "integer64", "Range"}),
    "uri": frozenset({"uri", "url", "canonical", "oid", "uuid"}),
}
_RESOLVE = "resolve()"
_AS_OPERATOR = re.compile(r"\bas\b")


class SearchCompiler:
    """Makes the parameters of each type; `definitions` must be able to read the finished type tables.

    `problems` collects every expression that is empty, cannot be parsed, names an element that does not exist or ends
    in none of the types its parameter can index: each is a row missing from the table of repairs.
    """

    def __init__(self, source: Source, definitions: Definitions, repairs: Repairs) -> None:
        self._published = source.search_parameters
        self._definitions = definitions
        self._repairs = repairs
        self.problems: list[str] = []

    def tables(self) -> dict[str, dict[str, SearchParameterDefinition]]:
        """By type, then by code."""
        found: dict[str, dict[str, SearchParameterDefinition]] = {}
        for url in sorted(self._published):
            published = self._published[url]
            name = f"SearchParameter {published['id']}"
            if self._repairs.omitted(name):
                continue
            if not published.get("base"):
                self.problems.append(f"{name}: no base")
            for base in published.get("base", []):
                if self._repairs.omitted(f"{name} on {base}"):
                    continue
                table = found.setdefault(base, {})
                if published["code"] in table:
                    self.problems.append(f"{name}: {base} has another with the code {published['code']!r}")
                table[published["code"]] = self._parameter(published, base)
        return found

    def _parameter(self, published: Resource, base: str) -> SearchParameterDefinition:
        expression = self._expression(published, base)
        usage = published.get("xpathUsage") or published.get("processingMode")
        return SearchParameterDefinition(
            code=published["code"],
            url=published["url"],
            type=published["type"],
            expression=expression,
            base=base,
            description=_description(published["description"], base),
            targets=tuple(published.get("target", [])),
            modifiers=tuple(published.get("modifier", [])),
            comparators=tuple(published.get("comparator", [])),
            multiple_or=published.get("multipleOr", True),
            multiple_and=published.get("multipleAnd", True),
            components=tuple(
                self._component(published, item, base, expression) for item in published.get("component", [])
            ),
            usage=usage if usage and usage != "normal" else "normal",
        )

    def _expression(self, published: Resource, base: str) -> str | None:
        where = f"SearchParameter {published['id']} expression"
        text = published.get("expression")
        if text is not None:
            text = " | ".join(branches_for(text, base)) or None
        on_base = f"SearchParameter {published['id']} on {base} expression"
        name = on_base if self._repairs.has(on_base) else where
        repaired = self._repairs.repaired(name, text)
        if repaired is None:
            if not self._repairs.has(name):
                self.problems.append(f"{where}: nothing for {base}")
            return None
        return self._checked(repaired, published["type"], f"{name} ({base})", None)

    def _component(self, published: Resource, item: Resource, base: str, expression: str | None) -> Component:
        definition = item["definition"]
        where = f"SearchParameter {published['id']} component {definition.rpartition('/')[2]}"
        text = self._repairs.repaired(where, item["expression"]) or ""
        starts = sorted(self._ends(expression, where)) if expression else [base]
        if definition in self._published:
            type_ = self._published[definition]["type"]
        else:
            self._repairs.apply_rule("component type", where)
            type_ = _type_of(self._ends(repair_expression(text), where, starts[0]))
        checked = {self._checked(text, type_, where, start, base) for start in starts}
        if len(checked) > 1:
            self.problems.append(f"{where}: differs between {starts}")
        return Component(definition, min(checked), type_)

    def _checked(self, published: str, type_: str, where: str, start: str | None, base: str | None = None) -> str:
        """`published` under the rules, with every path followed through the type tables."""
        if _AS_OPERATOR.search(published):
            self._repairs.apply_rule("as", where)
        if _RESOLVE in published:
            self._repairs.apply_rule("resolve", where)
        parts, all_ends = [], set()
        for branch in branches(repair_expression(published)):
            ends = self._ends(branch, where, start, base)
            if "Extension" in ends:
                self._repairs.apply_rule("extension value", where)
                branch += ".value"
                ends = self._ends(branch, where, start, base)
            if "CodeableReference" in ends and type_ in ("token", "reference"):
                self._repairs.apply_rule("CodeableReference", where)
                branch += ".concept" if type_ == "token" else ".reference"
                ends = self._ends(branch, where, start, base)
            all_ends |= ends
            parts.append(branch)
        in_line = any(self._definitions.structure(end).kind == "resource" for end in all_ends if end)
        if type_ in _SUITABLE and not (all_ends & _SUITABLE[type_]) and not (type_ == "reference" and in_line):
            self.problems.append(f"{where}: {type_} ends in {sorted(all_ends)}: {published}")
        return " | ".join(parts)

    def _ends(self, expression: str, where: str, start: str | None = None, base: str | None = None) -> set[str]:
        try:
            return leads_to(expression, self._definitions.structure, start, base)
        except (ExpressionError, KeyError) as error:
            self.problems.append(f"{where}: {error}")
            return set()


def _type_of(ends: set[str]) -> str:
    """The parameter type that indexes an element; empty when the ends are not one such type."""
    return _TYPE_OF_ELEMENT.get(next(iter(ends)), "") if len(ends) == 1 else ""


def _description(published: str, base: str) -> str:
    """The description, of a parameter of several types only the line about `base`."""
    for match in _LINE_OF_TYPE.finditer(published):
        if match["type"] == base:
            return match["text"]
    return " ".join(published.split())
