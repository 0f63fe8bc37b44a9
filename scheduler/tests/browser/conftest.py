"""One Chromium for all tests, and a way to say what a person does with the page and sees on it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from hand_driven_site import HandDrivenSite
from mesos_docker_scheduler import web
from mesos_docker_scheduler.config import Service
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_PATIENCE_SECONDS = 30
_FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",  # those of tests vouch for themselves
)
_UNREACHED = "Failed to load resource"

Result = TypeVar("Result")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With the driver's path, selenium looks for none: it would ask elsewhere for one.
    driver = ChromeService(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
    browser = Chrome(options=options, service=driver)
    yield browser
    browser.quit()


class Page:
    """The status page of a site in the browser."""

    def __init__(self, browser: Chrome, site: HandDrivenSite) -> None:
        self.browser = browser
        self.site = site
        self.refusals_expected = False

    def open(self, path: str = "/") -> None:
        """Go there and wait until the page is alive."""
        self.browser.get(self.site.url + path)
        self.sees("#link", "Live")

    def until(self, condition: Callable[[], Result], what: str) -> Result:
        """Wait until something is so; AssertionError `what` when it never is."""

        def met(_: Chrome) -> Result:
            return condition()

        ignored = (StaleElementReferenceException, NoSuchElementException)
        wait = WebDriverWait(self.browser, _PATIENCE_SECONDS, poll_frequency=0.05, ignored_exceptions=ignored)
        try:
            return wait.until(met, what)
        except TimeoutException as error:
            raise AssertionError(f"{what}; the page shows:\n{self.text('body')}") from error

    def element(self, css: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        return self.element(css).text

    def sees(self, css: str, *texts: str) -> None:
        """Wait until an element shows these texts."""
        self.until(lambda: all(text in self.text(css) for text in texts), f"{css} never shows {texts}")

    def misses(self, css: str, text: str = "") -> None:
        """Wait until an element no longer shows a text."""
        self.until(lambda: text not in self.text(css) if text else not self.text(css), f"{css} keeps {text}")

    def button(self, text: str, within: str = "body") -> WebElement:
        """The visible button with this text or label."""

        def find() -> WebElement | None:
            for button in self.element(within).find_elements(By.TAG_NAME, "button"):
                if text in (button.text, button.get_attribute("aria-label")) and button.is_displayed():
                    return button
            return None

        found = self.until(find, f'there is no button "{text}"')
        assert found is not None
        return found

    def buttons(self, within: str) -> list[str]:
        """The texts of the buttons that can be seen."""
        found = self.element(within).find_elements(By.TAG_NAME, "button")
        return [button.text for button in found if button.is_displayed()]

    def enter(self, text: str) -> None:
        """Type something into the dialog's field and confirm."""
        field = self.until(lambda: self.element("dialog[open] input"), "no dialog asks for anything")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text, Keys.ENTER)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.browser.switch_to.active_element.send_keys(*keys)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def log_in(self, token: str) -> None:
        """Be logged in already."""
        answer = self.browser.execute_async_script(
            """
            const headers = {"Content-Type": "application/json"};
            const options = {method: "POST", headers, body: JSON.stringify({token: arguments[0]})};
            fetch("/v1/session/begin", options).then(({status}) => arguments[1](status));
            """,
            token,
        )
        assert answer == 200
        self.browser.refresh()
        self.sees("#link", "Live")

    def width(self, pixels: int) -> None:
        metrics = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def colours(self, scheme: str) -> None:
        """Prefer light or dark, as the system's settings do."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def barriers(self) -> str:
        """What axe finds in the way of people who see little or nothing, or use no mouse."""
        self.run(AXE_SCRIPT)
        found = self.browser.execute_async_script("axe.run(document).then(arguments[0])")
        results = AxeResults(found)
        return str(results.generate_report()) if results.violations_count else ""

    def problems(self) -> list[str]:
        """What the browser complains of."""
        log: list[dict[str, Any]] = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        return [
            entry["message"]
            for entry in log
            if not (self.refusals_expected and _UNREACHED in entry["message"])
        ]

    def hosts(self) -> set[str]:
        """Whom the page has asked for anything."""
        log: list[dict[str, Any]] = self.browser.get_log("performance")  # type: ignore[no-untyped-call]
        messages = [json.loads(entry["message"])["message"] for entry in log]
        urls = [
            urlsplit(message["params"]["request"]["url"])
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return {url.netloc for url in urls if url.scheme not in ("data", "about", "chrome")}


Visit = Callable[..., Page]


@pytest.fixture
def visit(chromium: Chrome) -> Iterator[Visit]:
    """Make a site of some services, connected to a master, and look at it.

    In the end nothing may have gone wrong in the browser, and nobody else may have been asked.
    """
    pages: list[Page] = []

    def make(
        *services: Service,
        access: web.Access | None = None,
        certificate: web.Certificate | None = None,
    ) -> Page:
        site = HandDrivenSite(*services, access=access, certificate=certificate)
        site.start()
        site.connect()
        page = Page(chromium, site)
        pages.append(page)
        chromium.get_log("browser")  # type: ignore[no-untyped-call]
        chromium.get_log("performance")  # type: ignore[no-untyped-call]
        page.width(1200)
        page.colours("light")
        return page

    yield make
    for page in pages:
        problems, hosts = page.problems(), page.hosts()
        chromium.delete_all_cookies()  # one jar for all ports of an address
        chromium.get("about:blank")
        page.site.stop()
        assert problems == []
        assert hosts <= {urlsplit(page.site.url).netloc}
