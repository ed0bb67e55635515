"""The rows of a table of drugs -> drugs: each row adds its ingredients and its packs."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Places
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.importers.report import Place
from apothecary.importers.table.cells import Cell, Row
from apothecary.importers.table.drugs import Drug, resources
from apothecary.importers.table.mapping import Column, Constant
from apothecary.importers.table.rows import Rows

_INGREDIENT = ("ingredient", "ingredient code", "strength", "strength value", "strength unit")
_PER = ("strength per value", "strength per unit")
_PACK = ("pack code", "pack description", "pack size", "pack unit")


class DrugRows(Rows[Drug]):
    """Makes drugs of the rows of one table."""

    def _key(self, places: Places[str, int]) -> list[int]:
        """The first code, or the name and the like."""
        for element in ("code", "identifier"):
            for name, _, column in self.columns:
                if column.element == element:
                    return [places[name]]
        together = ("name", "form", "strength", "strength value", "strength unit")
        return [place for _, place, column in self.columns if column.element in together]

    def open(self, key: tuple[str, ...], place: Place) -> Drug:
        """See Rows."""
        return Drug(key, place)

    def resources(self, item: Drug) -> Iterator[JSON]:
        """See Rows."""
        return resources(item, self.known.ids.next(self.prefix, *item.key))

    def _read(self, row: Row, item: Drug) -> None:
        drug = item
        ingredients: dict[int, dict[str, Any]] = {}
        packs: dict[int, dict[str, Any]] = {}
        prices: list[JSON] = []
        for cell, column, place in self.filled_cells(row):
            self._take(cell, column, place, drug, ingredients, packs, prices)
        self._constants(row, drug, ingredients, packs, prices)
        self.nameless(row)
        place = Place(self.file, row.line)
        for number in sorted(ingredients):
            self._strength(ingredients, number, place, drug)
        strong = sum("strength" in one for one in ingredients.values())
        if 0 < strong < len(ingredients):
            said = f"{len(ingredients)} ingredients, and {strong} strengths: the first are of the first"
            self.report.approximated(place, said)
        for number in sorted(packs):
            self._size(packs, number, place)
        self._price(prices, drug, place)
        drug.add(ingredients, packs)

    def _price(self, prices: list[JSON], drug: Drug, place: Place) -> None:
        """The prices of a row; a date is that of all of them."""
        dated: JSON = {}
        for one in prices:
            if "costMoney" not in one:
                dated = one
        costs = [one for one in prices if "costMoney" in one]
        for one in costs:
            drug.say("price", {**dated, **one}, place, self.report)
        if dated and not costs:
            self.report.skipped(place, "the date of a price without a price")

    def _constants(self, row: Row, drug: Drug, *parts: Any) -> None:
        for cell, one, place in self.constant_cells(row):
            if one.element in _INGREDIENT + _PER and not parts[0]:
                continue  # What holds for each ingredient makes none by itself.
            self._take(cell, one, place, drug, *parts)

    def _take(
        self,
        cell: Cell,
        column: Column | Constant,
        place: Place,
        drug: Drug,
        ingredients: dict[int, dict[str, Any]],
        packs: dict[int, dict[str, Any]],
        prices: list[JSON],
    ) -> None:
        reader, element = self.reader, column.element
        for number, text in enumerate(reader.items(cell, column, place), column.number):
            if element in _INGREDIENT + _PER:
                self._ingredient(cell, text, column, place, ingredients.setdefault(number, {}))
            elif element in _PACK:
                self._pack(cell, text, column, place, packs.setdefault(number, {}))
            elif element == "price":
                value = reader.plain_number(text, cell.kind == "number")
                value = reader.number(text, place) if value is None else value
                if value is not None:
                    money = {"value": value, "currency": column.currency}
                    prices.append({"type": {"text": column.type or "price"}, "costMoney": money})
            elif element == "price date":
                date = reader.date(text, place)
                if date is not None:
                    prices.append({"effectiveDate": [{"start": date}]})
            elif (value := self._value(cell, text, column, place)) is not None:
                drug.say(element, value, place, self.report)

    def _value(self, cell: Cell, text: str, column: Column, place: Place) -> Any:
        """What an element that stands for itself says."""
        reader = self.reader
        match column.element:
            case "code":
                code = reader.code(cell, text, column, place)
                return None if code is None else {"system": column.system, "code": code}
            case "identifier":
                code = reader.code(cell, text, column, place)
                return None if code is None else {"system": column.system, "value": code}
            case "status":
                return reader.status(text, column, place)
            case "form" | "route" | "product type" | "indication":
                return reader.concept(cell, text, column, place)
            case "schedule":
                concept = reader.concept(cell, text, column, place)
                return None if concept is None else (column.authority or column.type or place.column, concept)
            case "classification":
                concept = reader.concept(cell, text, column, place)
                kind = {"text": column.type or place.column}
                return None if concept is None else {"type": kind, "classification": [concept]}
            case "characteristic":
                kind = {"text": column.type or place.column}
                return {"type": kind, "valueString": reader.word(text, column, place)}
        return reader.word(text, column, place)

    def _ingredient(self, cell: Cell, text: str, column: Column, place: Place, part: dict[str, Any]) -> None:
        reader = self.reader
        match column.element:
            case "ingredient":
                concept = reader.concept(cell, text, column, place)
                if concept is not None:
                    part["ingredient"] = concept if "text" in concept else {**concept, "text": text}
            case "ingredient code":
                code = reader.code(cell, text, column, place)
                if code is not None:
                    part.setdefault("ingredient code", []).append({"system": column.system, "code": code})
            case "strength":
                part["strength"] = reader.strength(cell, text, column, place)
                part["text"] = text
            case "strength value" | "strength per value":
                value = reader.plain_number(text, cell.kind == "number")
                part[column.element] = reader.number(text, place) if value is None else value
                part.setdefault("unit", column.unit)
            case _:
                part[column.element] = reader.word(text, column, place)

    def _strength(self, ingredients: dict[int, dict[str, Any]], number: int, place: Place, drug: Drug) -> None:
        """Put the parts of a strength together; without an ingredient it is said of the drug as a whole."""
        part = ingredients[number]
        value, unit = part.pop("strength value", None), part.pop("strength unit", None)
        constant = part.pop("unit", None)
        unit = unit or constant
        per, of = part.pop("strength per value", None), part.pop("strength per unit", None)
        if value is not None and unit is not None and "strength" not in part:
            above = self.reader.amount(value, unit)
            if of is not None:
                below = self.reader.amount(1 if per is None else per, of)
                part["strength"] = {"strengthRatio": {"numerator": above, "denominator": below}}
            else:
                part["strength"] = {"strengthQuantity": above}
                if per is not None:
                    self.report.skipped(place, f"{per} is a denominator without a unit")
        elif value is not None and "strength" not in part:
            self.report.approximated(place, f"the strength {value} has no unit: it stands as text")
            part["strength"] = {"strengthCodeableConcept": {"text": str(value)}}
        elif any(one is not None for one in (value, per, of)):
            self.report.skipped(place, "a part of a strength without the others")
        text = part.pop("text", None)
        if "ingredient" not in part and "ingredient code" not in part:
            del ingredients[number]
            if "strength" in part:
                said = text or f"{value} {unit or ''}{'' if of is None else f'/{per or 1} {of}'}".strip()
                self.report.approximated(place, f"the strength {said} is of no ingredient: it is a characteristic")
                drug.say("characteristic", {"type": {"text": "strength"}, "valueString": said}, place, self.report)

    def _size(self, packs: dict[int, dict[str, Any]], number: int, place: Place) -> None:
        part = packs[number]
        size, unit = part.pop("pack size", None), part.pop("pack unit", None)
        constant = part.pop("unit", None)
        if size is not None:
            part["pack size"] = self.reader.amount(size, unit or constant or "")
        elif unit is not None:
            self.report.skipped(place, f"{unit!r} is the unit of a pack without a size")
        if not part:
            del packs[number]

    def _pack(self, cell: Cell, text: str, column: Column, place: Place, part: dict[str, Any]) -> None:
        reader = self.reader
        match column.element:
            case "pack code":
                code = reader.code(cell, text, column, place)
                if code is not None:
                    part.setdefault("pack code", []).append({"system": column.system, "value": code})
            case "pack size":
                value = reader.plain_number(text, cell.kind == "number")
                part["pack size"] = reader.number(text, place) if value is None else value
                part["unit"] = column.unit
            case _:
                part[column.element] = reader.word(text, column, place)
