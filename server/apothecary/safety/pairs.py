"""What follows from what drugs contain alone: allergies, and the same ingredient or class twice.

https://terminology.hl7.org/CodeSystem-v3-ActCode.html: ALGY, DUPTHPGEN, DUPTHPCLS. Nobody states these; each says how
it follows. That an allergy to one drug is one to others of its class is not inferred: that needs a source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from apothecary.safety.concepts import Node
from apothecary.safety.drugs import Drug, Place, Step
from apothecary.safety.found import Finding, Kind


def allergies(drugs: Sequence[Drug], allergens: Sequence[Drug]) -> Iterator[Finding]:
    """Each drug that is, contains, or belongs to what somebody is allergic to. The allergens are looked up as drugs
    are: of a product it is each of its ingredients that may be meant.
    """
    for allergen in allergens:
        wanted = dict(allergen.of("itself", "ingredient", "excipient"))
        for drug in drugs:
            met = next((node for node in wanted if node in drug.nodes), None)
            if met is None:
                continue
            label = allergen.label
            chain = (*allergen.chain(met), *drug.chain(met))
            yield Finding(
                "allergy",
                f"{drug.label}: an allergy or intolerance to {label} is recorded, and {_how(drug.nodes[met])}.",
                (drug.implicated,),
                chain,
                "ALGY",
                about=allergen.asked.label,
                references=drug.own,
            )


def _how(step: Step) -> str:
    return {
        "itself": "the drug is that",
        "ingredient": f"the drug contains {step.label}",
        "excipient": f"the drug contains {step.label}",
    }.get(step.place, f"the drug belongs to {step.label}")


def duplicates(drugs: Sequence[Drug]) -> Iterator[Finding]:
    """Each two drugs with an active ingredient in common; of the others, those with a class in common that is stated of
    both, or the chemical subgroup of their ATC codes.
    """
    ingredients = [_named(one, "itself", "ingredient") for one in drugs]
    classes = [_named(one, "class") for one in drugs]
    for one, other in combinations(range(len(drugs)), 2):
        asked = drugs[one].asked, drugs[other].asked
        if asked[0].own in asked[1].follows or asked[1].own in asked[0].follows:
            continue
        kinds: tuple[tuple[Kind, str, list[dict[Node, Step]]], ...] = (
            ("duplicate-ingredient", "DUPTHPGEN", ingredients),
            ("duplicate-class", "DUPTHPCLS", classes),
        )
        for kind, code, held in kinds:
            shared = [node for node in held[one] if node in held[other]]
            if shared:
                yield _twice(kind, code, drugs[one], drugs[other], shared)
                break


def _named(drug: Drug, *places: Place) -> dict[Node, Step]:
    return dict(drug.of(*places))


def _twice(kind: Kind, code: str, one: Drug, other: Drug, shared: Sequence[Node]) -> Finding:
    labels = {one.nodes[node].label.casefold(): one.nodes[node].label for node in reversed(shared)}
    word = "the same active ingredient" if kind == "duplicate-ingredient" else "the same class"
    chain = [said for drug in (one, other) for said in drug.chain(shared[0])]
    return Finding(
        kind,
        f"{one.label} and {other.label}: {word}, {', '.join(reversed(labels.values()))}.",
        (one.implicated, other.implicated),
        tuple(dict.fromkeys(chain)),
        code,
        references=tuple(dict.fromkeys((*one.own, *other.own))),
    )
