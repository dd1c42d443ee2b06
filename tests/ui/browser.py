"""Headless Chromium, driven as a person would: found on PATH or where CHROMIUM and CHROMEDRIVER point."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from testbed import browsers, build
from testbed.errors import BuildFailed, TimedOut
from testbed.waiting import eventually

DESKTOP, PHONE = (1180, 900), (375, 812)
_CONTRAST = Path(__file__).with_name("contrast.js")
_WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


class Browser:
    """One window."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self._cdp("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)

    def _cdp(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def open(self, url: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False, zone: str = "Asia/Tokyo") -> None:
        """Load a page anew, at this size of the window and in these colours."""
        width, height = size
        self._cdp(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self._cdp("Emulation.setEmulatedMedia", features=[scheme, still])
        self._cdp("Emulation.setTimezoneOverride", timezoneId=zone)
        self.driver.get("about:blank")
        self.driver.get(url)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function body answers in the page."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """What a selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first that a selector finds, waited for."""
        return eventually(lambda: next(iter(self.all(selector)), None), timeout=15, what=f"{selector} on the page")

    def text(self, selector: str = "main") -> str:
        """The text that a person sees there."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def until(self, *words: str, selector: str = "main", timeout: float = 15) -> str:
        """Wait until all these words are to be seen."""

        def seen() -> str | None:
            text = self.text(selector)
            return text if all(word in text for word in words) else None

        try:
            return eventually(seen, timeout=timeout, what=f"the page to show {words}")
        except TimedOut as error:
            raise TimedOut(f"{error}; it shows {self.text(selector)[:800]!r}") from error

    def click(self, selector: str, words: str = "") -> None:
        """Click the first that is so called."""

        def clicked() -> bool:
            for each in self.all(selector):
                try:
                    if words in each.text:
                        each.click()
                        return True
                except StaleElementReferenceException:
                    return False
            return False

        eventually(clicked, timeout=10, what=f"{selector} {words!r} to be clicked")

    def settled(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something."""
        eventually(condition, timeout=15, what=what)

    def complaints(self) -> list[str]:
        """What the console and the content security policy have complained of since the page was loaded."""
        logged = [
            entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
        ]
        return logged + list(self.run("return window.__violations ?? []"))

    def overflow(self) -> int:
        """Pixels that the page is wider than its window."""
        return int(self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def shoot(self, path: Path, *, height: int | None = None) -> None:
        """A picture of the page, whole or as much of it as `height` says; PNG or WebP, as the name ends."""
        self.run("scrollTo(0, 0)")
        width, tall = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        tall = min(tall, height) if height is not None else tall
        clip = {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1}
        kind = {"format": "webp", "quality": 82} if path.suffix == ".webp" else {"format": "png"}
        taken = self._cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=clip, **kind)
        path.write_bytes(base64.b64decode(taken["data"]))


def missing() -> str:
    """Why there is no browser here, and what to do; empty where there is one."""
    try:
        programs = [build.program(name) for name in browsers.PROGRAMS]
    except BuildFailed as error:
        return f"no Chromium: {error}"
    lost = [str(path) for path in programs if not path.is_file()]
    return f"no Chromium: {', '.join(lost)} is gone; {browsers.HOW}" if lost else ""


@contextmanager
def browser() -> Iterator[Browser]:
    """A window, until the end of the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(build.program("chromium"))
    for flag in (
        "headless=new",
        "disable-gpu",
        "disable-dev-shm-usage",
        "hide-scrollbars",
        "disable-background-networking",
    ):
        options.add_argument(f"--{flag}")
    # Its sandbox is not to be had for root, nor in many containers; it sees nothing but pages of our own.
    options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=str(build.program("chromedriver")))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def contrasts(page: Browser) -> list[str]:
    """Texts that are too faint for their ground: less than 4.5 to 1, of large ones 3 to 1."""
    return [json.dumps(each) for each in page.run(_CONTRAST.read_text())]


__all__ = ["DESKTOP", "PHONE", "Browser", "browser", "contrasts"]
