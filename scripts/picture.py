"""Take the README's picture from a report, in the system's Chromium (`pip install '.[browser]'`).

    python -m scripts.picture runs/demo/report.html docs/responsible.jpg --state='a=3&b=1'

The state is what a report's address shows after `#`.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("output", type=Path, help="JPEG to write")
    parser.add_argument("--state", default="", help="what the report shows")
    parser.add_argument("--size", type=int, nargs=2, default=(1366, 620), help="width and height [pixels]")
    options = parser.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take(browser, options.report, options.output, options.state, tuple(options.size))
        browser.close()


def take(browser: Browser, report: Path, output: Path, state: str, size: tuple[int, int]) -> None:
    """Write what a report shows in a window of such a width and height."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(f"{report.absolute().as_uri()}#{state}")
    page.locator(".panel").first.wait_for()
    page.screenshot(path=output, type="jpeg", quality=85)
    page.close()


if __name__ == "__main__":
    main()
