"""Pages in a browser, Debian's Chromium: nobody is kept out, nothing is fetched from elsewhere, nothing acts.

https://www.w3.org/TR/WCAG22/ as axe-core checks it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conformance.harness import ROOT, OverHttp, served
from tests.mass import much
from tests.missing import missing
from tests.npm import installed
from tests.pages.test_pages import ACTING, HTML, is_walked
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

# What pages look like, to look at; git ignores it, and each run writes it anew.
SCREENSHOTS = ROOT / ".screenshots"

# One of each kind.
PAGES = [
    "/",
    "/fhir/MedicationKnowledge/clonazepam",
    "/fhir/MedicationKnowledge/klonopin-1-mg-tablet",
    "/fhir/r4/Medication/clonazepam",
    "/fhir/ClinicalUseDefinition/panic-disorder",
    "/fhir/MedicationKnowledge?drug-name=klonopin&_count=2",
    "/fhir/ClinicalUseDefinition?_explain=true&nonesuch=1",
    "/fhir?_id=clonazepam",
    "/fhir/Medication/clonazepam/_history",
    "/fhir/Medication/clonazepam/_history?_compare=1&_compare=1",
    "/claims",
    "/fhir/metadata",
    "/check",
    "/fhir/Medication/never",
    "/fhir/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/publication-status",
]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverHttp]:
    folder = tmp_path_factory.mktemp("browser")
    with served({"database": f"sqlite:///{folder / 'a.db'}", "content": str(ROOT / "resources")}) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or missing("there is no Chromium")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()


class Watched:
    """A page of the browser that notes what goes wrong on it, and what it fetches."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.fetched: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: self.fetched.append(request.url))
        self.status = self._go(address)

    def _go(self, address: str) -> int:
        answer = self.page.goto(address)
        assert answer is not None
        return answer.status


def opened(browser: Browser, **given: Any) -> BrowserContext:
    """A browser of its own for a test, that waits for whatever a busy machine does."""
    context = browser.new_context(**given)
    context.set_default_timeout(PATIENCE * 1000)
    return context


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = opened(browser)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def axe() -> str:
    folder = installed("axe-core", Path(__file__).parent / "package.json")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def picture(address: str, scheme: str) -> Path:
    """Where the picture of a page is kept."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", address).strip("-")[:120] or "home"
    return SCREENSHOTS / scheme / f"{name}.png"


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds against WCAG 2.2 AA, but for Swagger UI, which others made."""
    # Past the page's own policy, which lets no script in.
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate("() => axe.run({exclude: ['#swagger']})")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


@pytest.mark.mass
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_keep_nobody_out_and_fetch_three_files(live: OverHttp, browser: Browser, axe: str, scheme: str) -> None:
    context = opened(browser, color_scheme=scheme, bypass_csp=True)
    for address in much(PAGES[::4] if scheme == "light" else PAGES[1:2], PAGES):
        watched = Watched(context.new_page(), live.address + address)
        complaints = [one for one in watched.complaints if watched.status == 200 or "404" not in one]
        assert complaints == [], address
        assert len(watched.fetched) <= 3, (address, watched.fetched)
        assert all(one.startswith(live.address) for one in watched.fetched)
        assert violations(watched.page, axe) == [], address
        watched.page.screenshot(path=picture(address, scheme), full_page=True)
        watched.page.close()
    context.close()


@pytest.mark.crawl
def test_every_page_of_the_content_keeps_nobody_out_and_complains_of_nothing(
    live: OverHttp, browser: Browser, axe: str
) -> None:
    context = opened(browser, bypass_csp=True)
    shown = context.new_page()
    complaints: list[str] = []
    shown.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    waiting, seen = ["/"], {"/"}
    visited = 0
    while waiting:
        address = waiting.pop()
        if address.startswith("/openapi"):
            continue  # Swagger UI has a test of its own, and takes long
        # What is no page is not opened: browsers would save some of it.
        kind = context.request.head(live.address + address, headers=HTML).headers["content-type"]
        if not kind.startswith("text/html"):
            continue
        answer = shown.goto(live.address + address)
        assert answer is not None
        assert answer.status == 200, address
        assert violations(shown, axe) == [], address
        assert complaints == [], address
        shown.screenshot(path=picture(address, "all"), full_page=True)
        visited += 1
        links: list[str] = shown.evaluate("() => [...document.querySelectorAll('a[href]')].map(one => one.href)")
        for link in links:
            target = link.removeprefix(live.address).partition("#")[0]
            if link.startswith(live.address) and target not in seen and is_walked(target):
                seen.add(target)
                waiting.append(target)
    context.close()
    assert visited > 150


@pytest.mark.mass
def test_pages_fit_a_narrow_screen_and_print(live: OverHttp, browser: Browser, tmp_path: Path) -> None:
    context = opened(browser, viewport={"width": 320, "height": 640})
    for address in much(PAGES[::3], PAGES):
        shown = context.new_page()
        shown.goto(live.address + address)
        wide = shown.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 320, (address, wide)
        shown.close()
    shown = context.new_page()
    shown.goto(live.address + PAGES[1])
    printed = shown.pdf(path=str(tmp_path / "page.pdf"))
    assert printed.startswith(b"%PDF")
    context.close()


def test_a_drug_is_found_by_its_name_a_code_and_the_keyboard_alone(live: OverHttp, page: Page) -> None:
    for asked in ("klonopin", "206159"):
        page.goto(live.address)
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
        while page.evaluate("() => document.activeElement.id") != "q":
            page.keyboard.press("Tab")
        page.keyboard.type(asked)
        page.keyboard.press("Enter")
        page.wait_for_url("**/MedicationKnowledge?**")
        link = page.locator("table tbody a").first
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/MedicationKnowledge/**")
        assert "lonopin" in page.content() or "lonazepam" in page.content()


def test_what_is_left_empty_in_the_form_is_not_asked_for(live: OverHttp, page: Page) -> None:
    page.goto(live.address + "/fhir/MedicationKnowledge?_id=nobody")
    page.get_by_label("drug-name", exact=True).fill("clonazepam")
    page.get_by_label("_id", exact=True).fill("")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/MedicationKnowledge?drug-name=clonazepam")
    assert "4 found" in page.content()


def test_without_scripts_everything_is_there(live: OverHttp, browser: Browser) -> None:
    context = opened(browser, java_script_enabled=False)
    shown = context.new_page()
    shown.goto(live.address + "/fhir/MedicationKnowledge?_id=nobody")
    shown.locator("input[name=drug-name]").fill("clonazepam")
    shown.locator("input[name=_id]").fill("")
    shown.get_by_role("button", name="Search").click()
    assert "4 found" in shown.content()
    context.close()


def test_a_list_is_checked_without_scripts_and_keeps_nobody_out(live: OverHttp, browser: Browser, axe: str) -> None:
    for script in (False, True):
        context = opened(browser, java_script_enabled=script, bypass_csp=True)
        page = context.new_page()
        page.goto(f"{live.address}/check")
        page.get_by_label("Drugs, one a line").fill("206157\n2598")
        page.get_by_role("button", name="Check").click()
        page.get_by_role("heading", name="The same active ingredient twice").wait_for()
        assert "206157" not in page.url
        if script:
            assert violations(page, axe) == []
        context.close()


def test_nothing_of_a_resource_acts_in_the_browser(live: OverHttp, page: Page) -> None:
    name = " ".join(ACTING)
    body = {"resourceType": "Organization", "id": "vectors", "name": name, "alias": ACTING}
    assert live.ask(
        "PUT", "/fhir/Organization/vectors", {"Content-Type": "application/fhir+json"}, json.dumps(body)
    ).status in (200, 201)
    for address in ("/fhir/Organization/vectors", "/fhir/Organization", "/fhir/Organization/vectors/_history"):
        watched = Watched(page, live.address + address)
        assert (watched.status, watched.complaints) == (200, [])
        assert all(one.startswith(live.address) for one in watched.fetched)


def test_the_interface_can_be_tried_in_the_browser(live: OverHttp, page: Page) -> None:
    watched = Watched(page, live.address + "/openapi?type=Organization&release=r4")
    place = page.locator("#operations-Organization-read-Organization")
    place.wait_for()
    place.locator(".opblock-summary-control").click()
    place.get_by_role("button", name="Try it out").click()
    place.locator("input[placeholder=id]").fill("never")
    place.get_by_role("button", name="Execute").click()
    place.locator(".live-responses-table .response").first.wait_for()
    assert "404" in place.locator(".live-responses-table").first.inner_text()
    assert live.address + "/fhir/r4/Organization/never" in watched.fetched
    assert [one for one in watched.complaints if "404" not in one] == []
    assert all(one.startswith((live.address, "data:")) for one in watched.fetched)
