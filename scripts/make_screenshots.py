#!/usr/bin/env python3
"""Make the pictures of the dashboard in docs/pictures: a small store, the server, and Chromium without a window."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
PATIENCE = 60.0  # seconds
STEPS = (
    "sort names.txt > sorted.txt",
    "uniq -c sorted.txt > counted.txt",
    "head -n 2 counted.txt > best.txt",
    "paste best.txt names.txt > table.txt",
)


def browser(*arguments: str) -> webdriver.Chrome:
    """Return a Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    wanted = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900")
    for argument in (*wanted, *arguments):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


def fill(work: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Execute a few steps, one of which fails; return one that goes on."""
    work.mkdir()
    (work / "names.txt").write_text("pear\napple\npear\nfig\napple\npear\n")
    (work / "check.sh").write_text("echo reading names.txt\necho 'check: line 4: fig is not in the list' >&2\nexit 3\n")
    for step in STEPS:
        subprocess.run(["seamless-run", step], cwd=work, env=environment, check=True)
    subprocess.run(["seamless-run", "bash check.sh"], cwd=work, env=environment, check=False)
    return subprocess.Popen(["seamless-run", "sleep 600; sort -r names.txt > reversed.txt"], cwd=work, env=environment)


def main() -> int:
    """Make all pictures; return 0."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "HOME": directory, "SEAMLESS_CACHE": str(home / "cache"), "PATH": path}
        running = fill(home / "work", environment)
        server = subprocess.Popen(["seamless-dashboard"], env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            for name, arguments in (("light", ()), ("dark", ("--force-dark-mode",))):
                take(address, name, arguments)
        finally:
            for process in (server, running):
                process.terminate()
                process.wait()
    return 0


def take(address: str, name: str, arguments: tuple[str, ...]) -> None:
    """Make the pictures in one colour scheme."""
    driver = browser(*arguments)
    try:
        if name == "dark":
            scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        gone = [NoSuchElementException, StaleElementReferenceException]  # the page is drawn anew now and then
        wait = WebDriverWait(driver, PATIENCE, ignored_exceptions=gone)
        driver.get(address)
        wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, "#running td.what a"))
        wait.until(lambda d: "…" not in d.find_element(By.CLASS_NAME, "figures").text or d.refresh())
        driver.save_screenshot(str(PICTURES / f"dashboard-{name}.png"))
        if name == "dark":
            return
        wait.until(lambda d: d.find_element(By.CSS_SELECTOR, "#failures td.what a").click() is None)
        wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, ".failure pre"))
        driver.save_screenshot(str(PICTURES / "dashboard-failure.png"))
        driver.find_element(By.PARTIAL_LINK_TEXT, "Overview").click()
        wait.until(lambda d: d.find_element(By.CSS_SELECTOR, "#recent td.what a").click() is None)
        wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, "#provenance svg"))
        driver.execute_script("document.getElementById('provenance').scrollIntoView()")
        driver.save_screenshot(str(PICTURES / "dashboard-provenance.png"))
    finally:
        driver.quit()


if __name__ == "__main__":
    raise SystemExit(main())
