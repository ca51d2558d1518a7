"""The dashboard in a real Chromium: a run appears, fails, is explained, and its provenance is clicked through."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.place import DEADLINE, Place

pytestmark = [pytest.mark.xdist_group("chromium"), pytest.mark.timeout(300)]

EVIL = "<script>document.title='changed'</script><img src=x onerror=\"document.title='changed'\">"


@pytest.fixture
def driver() -> Iterator[Any]:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        if os.environ.get("SEAMLESS_LAB") == "required":
            pytest.fail(f"not installed: {', '.join(missing)}")
        pytest.skip(f"not installed: {', '.join(missing)}")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write("seamless.yaml", "")
    made.write("seamless.profile.yaml", "")
    return made


@pytest.fixture
def address(place: Place) -> Iterator[str]:
    cache = {"SEAMLESS_CACHE": str(place.root / "cache")}
    place.run("seamless-run", "sort a.txt", **cache)
    server = place.start("seamless-dashboard", **cache)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.communicate(timeout=DEADLINE)
        finally:
            server.kill()


def waiter(driver: Any) -> Callable[[Callable[[Any], Any]], Any]:
    """Return a function that waits until the page is as a condition says, whenever it is drawn anew."""
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    ignored = [NoSuchElementException, StaleElementReferenceException]
    return WebDriverWait(driver, DEADLINE, ignored_exceptions=ignored).until


def text_of(selector: str) -> Callable[[Any], str]:
    return lambda d: str(d.find_element("css selector", selector).text)


def click(selector: str) -> Callable[[Any], bool]:
    def clicked(driver: Any) -> bool:
        driver.find_element("css selector", selector).click()
        return True

    return clicked


def test_a_run_appears_fails_is_explained_and_leads_to_its_provenance(driver: Any, place: Place, address: str) -> None:
    wait, cache = waiter(driver), {"SEAMLESS_CACHE": str(place.root / "cache")}
    driver.get(address)
    wait(lambda d: "sort a.txt" in text_of("#recent")(d))
    assert "token" not in driver.current_url

    gate = place.root / "gate"
    os.mkfifo(gate)
    run = place.start("seamless-run", f"cat a.txt; read line < {gate}; echo fig is missing >&2; exit 3", **cache)
    wait(lambda d: "cat a.txt" in text_of("#running")(d))  # told by an event: nothing is loaded anew
    gate.write_text("go on\n")
    assert run.communicate(timeout=DEADLINE) and run.returncode == 3
    wait(lambda d: "fig is missing" in text_of("#failures")(d) and "exit 3" in text_of("#failures")(d))
    wait(lambda d: "Nothing is being executed" in text_of("#running")(d))

    wait(click("#failures td.what a"))
    wait(lambda d: "Failed with exit status 3" in text_of(".failure h2")(d))
    assert "fig is missing" in text_of(".failure pre")(driver)
    wait(lambda d: text_of("#why")(d))
    wait(click("#provenance svg a.buffer rect"))
    wait(lambda d: "Buffer " in text_of("p.title")(d))
    assert driver.get_log("browser") == []


def test_text_of_a_step_is_never_markup(driver: Any, place: Place, address: str) -> None:
    wait, cache = waiter(driver), {"SEAMLESS_CACHE": str(place.root / "cache")}
    (place.work / "evil.sh").write_text(f"cat >&2 <<'END'\n{EVIL}\nEND\nexit 1\n")
    place.attempt("seamless-run", "bash evil.sh '<script>document.title=1</script>'", **cache)
    driver.get(address)
    wait(lambda d: "onerror" in text_of("#failures")(d))
    wait(click("#failures td.what a"))
    wait(lambda d: "onerror" in text_of(".failure pre")(d))
    wait(lambda d: d.find_elements("css selector", "#provenance svg"))
    assert driver.title == "Seamless"
    assert driver.find_elements("css selector", "main script, main img") == []


def test_without_the_token_a_browser_sees_nothing(driver: Any, address: str) -> None:
    driver.get(address.partition("?")[0])
    assert "Unauthorized" in driver.page_source and "Seamless" not in driver.title
    driver.get(address)
    waiter(driver)(lambda d: d.find_elements("css selector", "#recent"))
    driver.get(address.partition("?")[0])
    waiter(driver)(lambda d: d.find_elements("css selector", "#recent"))
