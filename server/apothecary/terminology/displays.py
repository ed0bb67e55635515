"""Whether a display is one of its code: https://hl7.org/fhir/R5/terminology-service.html#validation"""

from __future__ import annotations

from apothecary.errors import Issue
from apothecary.terminology.compose import Entry
from apothecary.terminology.languages import Languages, Named, named
from apothecary.terminology.model import Designation


def check(entry: Entry, display: str, languages: Languages | None, where: str, *, lenient: bool) -> Issue | None:
    """What is wrong with `display`, None where it is a name of the code in one of the languages. Case does not count;
    white space does.
    """
    names = named(entry)
    right = [(value, language) for value, language, one in names.all() if not _withdrawn(one)]
    if not right:
        return None
    fitting = right if languages is None else [one for one in right if _fits(languages, one[1])]
    if any(_same(display, value) for value, _ in fitting):
        return None
    about = f"{entry.url}#{entry.code}"
    asked = languages.text if languages is not None else "--"
    if not fitting:
        return _of_no_language(names, display, about, asked, where, lenient=lenient)
    listed = " or ".join(f"'{value}'{f' ({language})' if language else ''}" for value, language in fitting[:20])
    choice = f"is {listed}" if len(fitting) == 1 else f"is one of {len(fitting)} choices: {listed}"
    old = next(
        (one for value, _, one in names.all() if one is not None and one.withdrawn and _same(display, value)), None
    )
    if old is not None:
        correct = " or ".join(f'"{value}"' for value, _ in fitting[:20])
        text = (
            f"'{display}' is no longer considered a correct display for code '{entry.code}' (status = deprecated). "
            f"The correct display is one of {correct}."
        )
        return Issue("warning", "invalid", text, (where,), kind="display-comment", message="INACTIVE_DISPLAY_FOUND")
    spaced = any(_same(" ".join(display.split()), " ".join(value.split())) for value, _ in fitting)
    wrong = "Wrong whitespace in Display" if spaced else "Wrong Display Name"
    text = f"{wrong} '{display}' for {about}. Valid display {choice} (for the language(s) '{asked}')"
    message = f"Display_Name{'_WS' if spaced else ''}_for__should_be_one_of__instead_of"
    return _invalid(text, where, message, lenient=lenient)


def _of_no_language(names: Named, display: str, about: str, asked: str, where: str, *, lenient: bool) -> Issue:
    """The code has no name in the languages that were asked for: one of the code system's own language will do."""
    default = [value for value, language, one in names.all() if language == names.language and not _withdrawn(one)]
    if any(_same(display, value) for value in default):
        text = (
            f"There are no valid display names found for the code {about} for language(s) '{asked}'. "
            f"The display is '{display}' which is a valid display for the default language"
        )
        message = "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK"
        return Issue("information", "invalid", text, (where,), kind="invalid-display", message=message)
    text = (
        f"Wrong Display Name '{display}' for {about}. There are no valid display names found for language(s) "
        f"'{asked}'. Default display is '{names.display}'"
    )
    return _invalid(text, where, "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR", lenient=lenient)


def _invalid(text: str, where: str, message: str, *, lenient: bool) -> Issue:
    return Issue("warning" if lenient else "error", "invalid", text, (where,), kind="invalid-display", message=message)


def _withdrawn(one: Designation | None) -> bool:
    return one is not None and one.withdrawn


def _fits(languages: Languages, language: str) -> bool:
    return not language or not languages.tags or languages.rank(language) is not None


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
