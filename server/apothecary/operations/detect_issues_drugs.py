"""Which codes and resources stand for the drugs of a list: from product to ingredient to class, never down again.

https://hl7.org/fhir/R5/medication-definition-module.html. All drugs are looked for together: each step is one search of
a type, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from apothecary.fhir import ndc
from apothecary.fhir.json import JSON
from apothecary.operations.detect_issues_lookup import MOST_OF_ONE, Lookup
from apothecary.safety.asked import AskedDrug, Code
from apothecary.safety.concepts import BROADER, Coded, Concept, Node
from apothecary.safety.drugs import Drug, Holding, Place, holding, subgroup

# From product to class takes four steps; packs of products and mixtures take some more.
_ROUNDS = 8
_NDC = "http://hl7.org/fhir/sid/ndc"
# Resources of these types are called by codes that all mean the same substance.
_SUBSTANCES = frozenset({"Substance", "SubstanceDefinition"})


class _Wanted(NamedTuple):
    """Something to be looked up: where it stands, from where it was reached, and the sentence that says why."""

    place: Place
    origin: Node


@dataclass(slots=True)
class _Pending:
    codes: dict[Code, _Wanted] = field(default_factory=dict)
    references: dict[str, _Wanted] = field(default_factory=dict)
    brought: dict[str, tuple[Holding, _Wanted]] = field(default_factory=dict)
    """What is contained, or came with the request, by its node."""


def identified(lookup: Lookup, asked: Sequence[AskedDrug]) -> list[Drug]:
    """The drugs of a list with all that names them."""
    work = _Identifying(lookup)
    for number, one in enumerate(asked):
        work.begin(Drug(number, one))
    for _ in range(_ROUNDS):
        if not work.step():
            break
    return work.drugs


class _Identifying:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.drugs: list[Drug] = []
        self._pending: list[_Pending] = []

    def begin(self, drug: Drug) -> None:
        """Note a drug as it was asked for."""
        asked, pending = drug.asked, _Pending()
        self.drugs.append(drug)
        self._pending.append(pending)
        drug.routes += [self._by(_route(one, self._lookup)) for one in asked.routes]
        for code in asked.codes:
            self._code(drug, pending, code, "itself", None, "")
        if asked.reference:
            drug.add([asked.reference], "itself", asked.label, "", None)
            pending.references[asked.reference] = _Wanted("itself", asked.reference)
        if asked.resource is not None:
            local = replace(holding(asked.resource, "", self._lookup.keys, asked.beside), label=asked.label)
            node = self._given(drug, pending, local)
            if node is not None:
                self._inside(drug, pending, local, "itself", node)

    def _given(self, drug: Drug, pending: _Pending, local: Holding) -> Node | None:
        """The codes of a resource that the request brings along; the first of them, or what stands for it."""
        for one in local.codes:
            place: Place = "above" if one.relationship else "itself"
            self._code(drug, pending, one.coding, place, None, "")
        drug.add([f"#{drug.number}"], "itself", drug.asked.label, "", None)
        return f"#{drug.number}"

    def step(self) -> bool:
        """Look up what is to be looked up; whether there was anything."""
        waiting, self._pending = self._pending, [_Pending() for _ in self.drugs]
        references = {one for each in waiting for one in each.references}
        codes = {one for each in waiting for one in each.codes}
        if not references and not codes and not any(each.brought for each in waiting):
            return False
        lookup = self._lookup
        read = {name: lookup.holding(one) for name, one in lookup.read(sorted(references)).items()}
        by_key: dict[Node, dict[str, Holding]] = {}
        for one in lookup.coded(sorted(codes)):
            for coded in (*one.codes, *one.identifiers):
                for key in coded.keys:
                    by_key.setdefault(key, {})[one.reference] = one
        for drug, done, pending in zip(self.drugs, waiting, self._pending, strict=True):
            for name, wanted in done.references.items():
                if name in read and drug.nodes[name].place == wanted.place:
                    self._stands(drug, pending, read[name], wanted.place, wanted.origin)
                elif wanted.place in ("itself", "ingredient") and name not in read:
                    drug.remarks.append(f"{name} is not held here")
            for node, (one, wanted) in done.brought.items():
                if drug.nodes[node].place == wanted.place:
                    for coded in one.codes:
                        self._also(drug, pending, coded, wanted.place, node, one)
                    self._inside(drug, pending, one, wanted.place, node)
            for code, wanted in done.codes.items():
                keys = lookup.keys(code.system, code.code)
                found = {name: one for key in keys for name, one in by_key.get(key, {}).items()}
                self._called(drug, pending, code, wanted, found.values())
                if code in lookup.cut:
                    kinds = ", ".join(lookup.cut[code])
                    drug.remarks.append(
                        f"more than {MOST_OF_ONE} resources have the code {code} ({kinds}): not all were looked at"
                    )
        return True

    # -- what was found

    def _called(self, drug: Drug, pending: _Pending, code: Code, wanted: _Wanted, found: Iterable[Holding]) -> None:
        """Resources that have a code. What is called by it first of all stands for the same; another is narrower: what
        it contains counts, and nothing that is said of it alone.
        """
        narrower = 0
        asked = drug.nodes[wanted.origin].origin is None
        for one in sorted(found, key=lambda one: one.reference):
            if self._same(drug, one, wanted):
                why = f"{one.label} ({one.reference}) has the code {_said(code)}"
                if drug.add([one.reference], wanted.place, one.label, why, wanted.origin):
                    self._stands(drug, pending, one, wanted.place, one.reference)
            elif wanted.place == "itself" and asked:
                narrower += 1
                before = f"{one.label} ({one.reference}) is one with the code {_said(code)}: "
                self._inside(drug, pending, one, "itself", wanted.origin, before)
        if narrower:
            drug.remarks.append(
                f"{narrower} records have the code {_said(code)} and are called by another: their active ingredients "
                "and classes were looked at, not what is stated of each of them alone"
            )

    def _same(self, drug: Drug, one: Holding, wanted: _Wanted) -> bool:
        called = one.called
        if called is not None and any(key in drug.nodes for key in called.keys):
            return True
        if wanted.place not in ("ingredient", "excipient"):
            return False
        # Another product that has the code of what it contains is another product.
        parts = (part for part, _ in one.ingredients)
        contains = any(
            part.reference in drug.nodes or any(key in drug.nodes for each in part.codes for key in each.keys)
            for part in parts
        )
        return one.reference.partition("/")[0] in _SUBSTANCES or not contains

    def _stands(self, drug: Drug, pending: _Pending, one: Holding, place: Place, node: Node) -> None:
        """A resource that stands for the drug, an ingredient or a class of it."""
        drug.resources[one.reference] = one
        substance = one.reference.partition("/")[0] in _SUBSTANCES
        for coded in one.codes:
            if coded.coding.system == _NDC and coded is not one.called and not substance:
                continue
            self._also(drug, pending, coded, place, node, one)
        for other in one.same:
            if drug.add([other], place, one.label, f"{one.reference} and {other} are the same", node):
                pending.references[other] = _Wanted(place, other)
        self._inside(drug, pending, one, place, node)

    def _also(self, drug: Drug, pending: _Pending, coded: Coded, place: Place, node: Node, one: Holding) -> None:
        remark = f" ({coded.remark})" if coded.remark else ""
        why = f"{one.label} is called {coded.label}{remark}"
        self._code(
            drug, pending, coded.coding, "above" if coded.relationship == BROADER else place, node, why, one.label
        )

    def _inside(self, drug: Drug, pending: _Pending, one: Holding, place: Place, node: Node, before: str = "") -> None:
        """What a resource contains, the classes it is put into, and its routes."""
        deeper: Place = "class" if place in ("class", "above") else "ingredient"
        for part, active in one.ingredients if deeper == "ingredient" else ():
            if before and not active:
                # Products of one code differ in these.
                continue
            where: Place = deeper if active and place != "excipient" else "excipient"
            inner = one.beside.get(part.reference)
            what = part.text or (holding(inner, part.label, self._lookup.keys).label if inner else part.label)
            said = f"{before}{one.label} contains {what}" + ("" if active else " (not active)")
            if not part.comparable:
                drug.remarks.append(f"{said}, named in words only")
            self._concept(drug, pending, part, where, node, said, one.beside)
        if place != "excipient":
            for each in one.classes:
                where = "above" if place == "above" else "class"
                said = f"{before}{one.label} is classified as {each.label}"
                self._concept(drug, pending, each, where, node, said, one.beside)
        # Of one among several with a code the route is not that of all.
        if place == "itself" and not drug.asked.routes and not before:
            drug.routes += map(self._by, one.routes)

    def _by(self, route: Concept) -> Concept:
        """A route with those above it: what is given into a vein is not given by mouth, but it is injected."""
        above = [
            Coded(one, tuple(self._lookup.keys(one.system, one.code)), BROADER)
            for coded in route.codes
            for one in self._lookup.above(coded.coding)[0]
        ]
        return replace(route, codes=(*route.codes, *above)) if above else route

    def _concept(
        self,
        drug: Drug,
        pending: _Pending,
        named: Concept,
        place: Place,
        node: Node,
        why: str,
        beside: Mapping[str, JSON],
    ) -> None:
        for coded in named.codes:
            remark = f" ({coded.remark})" if coded.remark else ""
            self._code(drug, pending, coded.coding, place, node, f"{why} [{coded.coding}]{remark}", named.label)
        if not named.reference:
            return
        brought = beside.get(named.reference)
        if brought is not None:
            # Two resources may contain different ones of the same id.
            own = f"{node if isinstance(node, str) else f'#{drug.number}'}{named.reference}"
            own = own if own.startswith("#") else f"#{own}"
            one = holding(brought, named.label, self._lookup.keys, beside)
            if drug.add([own], place, one.label, why, node):
                pending.brought[own] = one, _Wanted(place, own)
            return
        local = self._lookup.local(named.reference)
        if not local and not named.codes:
            drug.remarks.append(f"{why}, which is neither in the request nor on this server")
        if local and drug.add([local], place, named.label or local, f"{why} ({local})", node):
            pending.references[local] = _Wanted(place, local)

    def _code(
        self, drug: Drug, pending: _Pending, code: Code, place: Place, origin: Node | None, why: str, label: str = ""
    ) -> None:
        """A code that names the drug, with what stands above it."""
        keys = self._lookup.keys(code.system, code.code)
        fresh = drug.add(keys, place, label or self._lookup.display(code) or str(code), why, origin)
        if not fresh:
            return
        node = fresh[0]
        pending.codes[code] = _Wanted(place, node)
        group = subgroup(code)
        if group is not None and place != "above":
            self._code(drug, pending, group, "class", node, f"{_said(code)} is in the subgroup {group}")
        for one in self._lookup.above(code)[0]:
            above = self._lookup.keys(one.system, one.code)
            if drug.add(above, "above", one.display or str(one), f"{_said(code)} stands below {_said(one)}", node):
                pending.codes[one] = _Wanted("above", above[0])
        readings = ndc.readings(code.code) if code.system == _NDC else ()
        if len(readings) > 1:
            drug.remarks.append(
                f"{code} is written without hyphens and may be one of {len(readings)} codes: all were looked at"
            )
        for one_of in readings:
            if one_of.package:
                product = Code(_NDC, f"{one_of.labeler}-{one_of.product}")
                self._code(drug, pending, product, place, node, f"{_said(code)} is a package of {_said(product)}")


def _route(code: Code, lookup: Lookup) -> Concept:
    if not code.system:
        return Concept(text=code.display)
    return Concept((Coded(code, tuple(lookup.keys(code.system, code.code))),))


def _said(code: Code) -> str:
    return f"{code.display} ({code})" if code.display else str(code)
