"""Prefect's pages, those of the second generation, as a person uses them in a browser."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Response, ViewportSize, expect, sync_playwright

from isthmus import polling

PATIENCE = 30.0
"""Seconds for whatever a page shall show; SQLite makes it ask its server again now and then."""
WIDE: ViewportSize = {"width": 1400, "height": 1000}
ENDED = re.compile("^(Completed|Failed|Crashed|Cancelled)$")
BUSY = 503
HIGHEST = 1400
"""Pixels; what is below is cut off a picture."""


class Pages:
    """One browser's window on one server."""

    def __init__(self, page: Page, url: str, pictures: Path) -> None:
        self.page = page
        self.url = url
        self.pictures = pictures
        self.asked: set[str] = set()
        """Hosts that the browser asked for anything."""
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        page.on("request", lambda request: self._note(request.url))

    def sign_in(self, words: str) -> None:
        """Give the pages what they ask for."""
        self.page.goto(self.url)
        self.page.get_by_role("textbox").fill(words)
        self.page.get_by_role("button", name="Login").click()

    def open_form(self, deployment: str) -> None:
        """Go to the form of a deployment's run, the way that a person clicks."""
        self.page.get_by_role("link", name="Deployments", exact=True).first.click()
        # The page before may link to the flow, which has the deployment's name.
        listed = self.page.get_by_role("table").get_by_role("link", name=deployment, exact=True)
        listed.first.click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        self.page.locator("fieldset").first.wait_for()

    def field(self, label: str) -> Locator:
        """Return the part of the form below a label: description, menu and what one fills in."""
        named = re.compile(rf"^{re.escape(label)}( \(Optional\))?$")
        labels = self.page.locator("label").filter(has_text=named)
        return labels.locator("xpath=ancestor::div[fieldset][1]")

    def labels(self) -> list[str]:
        """Return the labels of the form in their order."""
        found = self.page.locator("div:has(> fieldset) > div:first-child label").all_inner_texts()
        return [label.removesuffix(" (Optional)") for label in found]

    def choices(self, label: str) -> list[str]:
        """Return what a field offers to choose from."""
        self._unfold(label)
        found = self.page.get_by_role("option").all_inner_texts()
        self.page.keyboard.press("Escape")
        self._folded()
        return found

    def chosen(self, label: str) -> str:
        """Return what is chosen in a field."""
        return self._choice(label).inner_text()

    def choose(self, label: str, value: str) -> None:
        """Choose one of what a field offers."""
        self._unfold(label)
        self.page.get_by_role("option", name=value, exact=True).click()
        self._folded()
        expect(self._choice(label)).to_have_text(value)

    def write(self, label: str, value: str, kind: str) -> None:
        """Type a value into the field's part called `kind`."""
        self.field(label).get_by_role("tab", name=kind).click()
        self.field(label).get_by_role("textbox").fill(value)

    def submit(self) -> Response:
        """Click on Submit; return what the server said to it.

        A server that is busy, as one with SQLite is now and then, is asked again. The page sends
        nothing as long as it still shows what an earlier try was refused for.
        """
        while (answer := self._sent()).status == BUSY:
            expect(self.page.get_by_role("button", name="Submit")).to_be_enabled()
        return answer

    def submitted(self) -> dict[str, str]:
        """Click on Submit; return the run that the server made of it."""
        answer = self.submit()
        assert answer.ok, f"{answer.status} {answer.text()}"
        run: dict[str, str] = answer.json()
        return run

    def open_run(self, identity: str) -> None:
        """Go to the page of a run."""
        self.page.goto(f"{self.url}/v2/runs/flow-run/{identity}")

    def await_end(self, seconds: float) -> str:
        """Watch the run's page until it says how the run ended; return that."""
        state = self.page.get_by_role("main").get_by_text(ENDED).first
        state.wait_for(timeout=seconds * 1000)
        return state.inner_text()

    def tab(self, name: str) -> Locator:
        """Open a tab of the run's page and return what is in it."""
        self.page.get_by_role("tab", name=name, exact=True).click()
        return self.page.get_by_role("tabpanel", name=name)

    def graph(self) -> Locator:
        """Return the drawing of the run's steps, when it moves no more."""
        drawing = self.page.locator("canvas").first
        seen = [b""]

        def still() -> bool | None:
            seen.append(drawing.screenshot())
            return True if seen[-1] == seen[-2] else None

        polling.until(still, "the graph to stand still", timeout=PATIENCE, interval=0.5)
        return drawing

    def open_artifact(self, run: str, key: str) -> Locator:
        """Go from the run's page to what it left under a key; return that."""
        self.open_run(run)
        self.tab("Artifacts").get_by_role("heading", name=key, exact=True).click()
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()
        body = self.page.get_by_role("tabpanel", name="Artifact")
        body.wait_for()
        return body

    def picture(self, name: str) -> None:
        """Keep what is to be seen, without what comes and goes."""
        self.page.wait_for_load_state("networkidle")
        high = self.page.evaluate("document.documentElement.scrollHeight")
        # As high as what is in it: what a page leaves standing while it scrolls would be cut.
        self.page.set_viewport_size({**WIDE, "height": min(max(high, WIDE["height"]), HIGHEST)})
        self.page.evaluate("window.scrollTo(0, 0)")
        self.page.screenshot(
            path=self.pictures / f"{name}.png",
            animations="disabled",
            style="[data-sonner-toaster] { display: none }",
        )
        self.page.set_viewport_size(WIDE)

    def outside(self) -> list[str]:
        """Return the hosts that were asked and are not the server."""
        return sorted(self.asked - {urlsplit(self.url).netloc})

    def _sent(self) -> Response:
        with self.page.expect_response(re.compile("/create_flow_run$")) as answer:
            self.page.get_by_role("button", name="Submit").click()
        return answer.value

    def _note(self, url: str) -> None:
        if host := urlsplit(url).netloc:
            self.asked.add(host)

    def _choice(self, label: str) -> Locator:
        return self.field(label).get_by_role("button", name=re.compile("^Select "))

    def _unfold(self, label: str) -> None:
        self._choice(label).click()
        self.page.get_by_role("option").first.wait_for()

    def _folded(self) -> None:
        # A list fades away, and meanwhile there would be two.
        expect(self.page.get_by_role("option")).to_have_count(0)


@contextmanager
def opened(url: str, pictures: Path) -> Iterator[Pages]:
    """A browser of our own on a server's pages; its pictures go into that folder."""
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield Pages(browser.new_page(viewport=WIDE), url, pictures)
        browser.close()


def chromium() -> str:
    """Return Debian's browser; skip where there is none, which is a failure with CI=true."""
    if found := shutil.which("chromium"):
        return found
    if os.environ.get("CI") == "true":
        pytest.fail("no chromium: apt-get install chromium")
    pytest.skip("no chromium here")
