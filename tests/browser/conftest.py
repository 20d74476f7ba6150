"""Pages in a real Chromium, which is Debian's package chromium with chromium-driver; skipped where they are absent."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import capbench
from capbench import benchmark, leaderboard, pages

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip
DESKTOP, PHONE = (1280, 900), (390, 844)
METRICS = ("cider", "rouge_l", "bleu", "self_retrieval(bags='blocks(size=20)')")


def pytest_collection_modifyitems(items):
    """Everything here starts a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One Chromium for all pages, with a profile of its own."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium and chromedriver on PATH: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


class Page:
    """An open page, and what it said and asked for."""

    def __init__(self, browser, path):
        self.browser = browser
        self.path = path

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return [node.text for node in self.all(selector)]

    def js(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def until(self, question):
        gone = [StaleElementReferenceException]  # the page drew it again between two questions
        return WebDriverWait(self.browser, 10, ignored_exceptions=gone).until(lambda _: question())

    def choose(self, label, text):
        """Pick an option of the <select> with this label."""
        xpath = f"//label[span[.={json.dumps(label)}]]//option[.={json.dumps(text)}]"
        self.browser.find_element(By.XPATH, xpath).click()

    def console(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requests(self):
        """Addresses that were asked for since the last question, other than the page's own files."""
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        own = self.path.parent.as_uri()
        return [url for url in asked if not url.startswith((own, "data:"))]

    def cut_texts(self):
        """Visible texts wider than their boxes, where nothing scrolls and no ellipsis says so."""
        return self.js(CUT)


CUT = """
const bad = [];
for (const node of document.querySelectorAll('h1,h2,h3,p,button,summary,th,td,dt,dd,li,label,a,figcaption')) {
  const style = getComputedStyle(node);
  if (!node.offsetParent || style.textOverflow === 'ellipsis' || node.closest('.unseen')) continue;
  if (node.scrollWidth > node.clientWidth + 1 && style.display !== 'inline') bad.push(node.outerHTML.slice(0, 200));
}
return bad;
"""


@pytest.fixture
def show(chromium):
    """show(path, size, dark, hash) -> Page; afterwards the console must be silent and the network unasked."""
    opened = []

    def call(path, size=DESKTOP, *, dark=False, fragment=""):
        width, height = size
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics(width, height))
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},  # else a click may come while the page still glides
        ]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        chromium.get("about:blank")
        chromium.get_log("browser"), chromium.get_log("performance")
        chromium.get(Path(path).resolve().as_uri() + fragment)
        page = Page(chromium, Path(path).resolve())
        page.until(lambda: page.all("main > *"))
        opened.append(page)
        return page

    yield call
    for page in opened:
        assert page.console() == []
        assert page.requests() == []


def metrics(width, height):
    return {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}


@pytest.fixture(scope="session")
def screenshot(tmp_path_factory):
    """screenshot(page, name): a picture of the whole page, kept below $CAPBENCH_SCREENSHOTS if it is set."""
    stated = os.environ.get("CAPBENCH_SCREENSHOTS", "")
    folder = Path(stated) if stated else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)

    def call(page, name, *, whole=True):
        width, height = page.js("return [innerWidth, innerHeight]")
        if whole:
            tall = page.js("return document.documentElement.scrollHeight")
            page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics(width, tall))
        page.js("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        target = folder / f"{re.sub(r'[^a-z0-9-]', '-', name)}.png"
        assert page.browser.save_screenshot(str(target))
        page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics(width, height))
        return target

    return call


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Three systems on 100 drawn pictures, with galleries."""
    root = tmp_path_factory.mktemp("runs")
    for captioner in ("speaker", "speaker(flaw='miscount')", "nearest"):
        capbench.run(captioner, "scenes", METRICS, backends={"clip": "scenes"}, limit=100, runs=root)
    return root


@pytest.fixture(scope="session")
def view_page(runs, tmp_path_factory):
    """The three systems image by image, with pictures and references."""
    target = tmp_path_factory.mktemp("view page") / "runs & more.html"
    assert pages.write_view([runs], target, benchmark.load("scenes")) == 100
    return target


@pytest.fixture(scope="session")
def board_page(runs, tmp_path_factory):
    """Their table."""
    target = tmp_path_factory.mktemp("board") / "board.html"
    pages.write_boards(leaderboard.gather([runs]), target)
    return target
