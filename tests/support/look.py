# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of every shape in a real browser, in light and in dark: what it measures of them, and pages and images to look at.

What is held against it: no text overlaps another, or a box that is not its own; all is inside of the picture; no letter is
smaller than nine pixels; and what is to be read stands out from what is behind it at 4.5 to 1 or more. ./dev look runs it.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from ansible_collections.nslab.linux.plugins.filter.lab_svg import lab_svg
from ansible_collections.nslab.linux.plugins.plugin_utils._svg import draw_svg
from ansible_collections.nslab.linux.tests.unit.plugins.plugin_utils.pictured import SHAPES, marked

EXAMPLE = Path(__file__).parents[2] / "examples" / "office"
SIZES = (5, 40, 300)
# The numbers are those of blink's setting preferredColorScheme.
SCHEMES = {"dark": 0, "light": 1}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{margin:0;background:Canvas;color-scheme:light dark}}svg{{display:block}}</style>
{body}
"""
# Told to the console it would be lost among what the browser has to say itself.
MEASURE = """<script>
const found = [], least = 9, wanted = 4.5;
const rgb = text => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
const light = text => rgb(text).map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
const contrast = (one, other) => { const [a, b] = [light(one), light(other)].sort(); return (b + .05) / (a + .05); };
const fill = node => getComputedStyle(node).fill;
const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
const within = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
const rect = node => { const {left, top, right, bottom} = node.getBoundingClientRect(); return {left, top, right, bottom}; };
let texts_seen = 0, lowest = 99;
for (const picture of document.querySelectorAll("svg.nslab-picture")) {
  const name = picture.parentNode.id, say = what => found.push(`${name}: ${what}`);
  const whole = rect(picture);
  const boxes = [...picture.querySelectorAll("rect.box, rect.badge-box")].map(node => ({node, group: node.parentNode, ...rect(node)}));
  const texts = [...picture.querySelectorAll("text")].map(node => ({node, group: node.parentNode, ...rect(node)}));
  texts.sort((a, b) => a.top - b.top);
  texts_seen += texts.length;
  texts.forEach((text, number) => {
    const words = text.node.textContent;
    if (!within(text, whole)) say(`"${words}" is not inside of the picture`);
    for (const other of texts.slice(number + 1)) {
      if (other.top >= text.bottom) break;
      if (!apart(text, other)) say(`"${words}" overlaps "${other.node.textContent}"`);
    }
    let behind = picture.querySelector(".back");
    for (const box of boxes) {
      if (apart(text, box)) continue;
      if (!within(text, box)) { say(`"${words}" crosses the edge of a box`); continue; }
      // Its own, or that of a namespace around it.
      const own = box.group === text.group || [...text.group.querySelectorAll("rect.box")].some(o => within(rect(o), box));
      if (!own || !text.group.id.includes("node-")) say(`"${words}" is in a box that is not its own`);
      behind = box.node;
    }
    for (const part of text.node.children.length ? text.node.children : [text.node]) {
      const size = parseFloat(getComputedStyle(part).fontSize), ratio = contrast(fill(part), fill(behind));
      if (size < least) say(`"${part.textContent}" has ${size} pixels`);
      if (ratio < wanted) say(`"${part.textContent}" has a contrast of ${ratio.toFixed(2)}`);
      lowest = Math.min(lowest, ratio);
    }
  });
  boxes.forEach((box, number) => {
    if (!within(box, whole)) say("a box is not inside of the picture");
    for (const other of boxes.slice(number + 1))
      if (!apart(box, other) && !within(box, other) && !within(other, box)) say("boxes cross each other");
  });
  for (const line of picture.querySelectorAll(".line"))
    if (!within(rect(line), whole)) say("a line is not inside of the picture");
}
const told = document.createElement("pre");
told.id = "told";
told.textContent = JSON.stringify({found, texts: texts_seen, lowest, dark: matchMedia("(prefers-color-scheme: dark)").matches});
document.body.append(told);
</script>"""


def browse(scheme: str, page: Path, *options: str) -> str:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", *options, page.resolve().as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout


def measured(scheme: str, pictures: dict[str, str], where: Path) -> dict:
    page = where / "all.html"
    body = "".join(f'<div id="{name}">{svg}</div>\n' for name, svg in pictures.items())
    page.write_text(PAGE.format(title="pictures", body=body) + MEASURE, encoding="utf-8")
    told = browse(scheme, page, "--virtual-time-budget=100000", "--dump-dom").rpartition('<pre id="told">')[2]
    return json.loads(html.unescape(told.partition("</pre>")[0]))


def photographed(scheme: str, name: str, svg: str, where: Path) -> None:
    page = where / f"{name}.html"
    page.write_text(PAGE.format(title=name, body=svg), encoding="utf-8")
    size = re.search(r'width="([0-9]+)[0-9.]*" height="([0-9]+)', svg)
    if size is not None:
        width, height = (int(number) + 1 for number in size.groups())
        image = where / f"{name}.{scheme}.png"
        browse(scheme, page, f"--screenshot={image}", f"--window-size={width},{height}")


def draw_example() -> None:
    lab = yaml.safe_load((EXAMPLE / "office.nslab.yml").read_text(encoding="utf-8"))["lab"]
    (EXAMPLE / "office.svg").write_text(lab_svg(lab), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev look", description=__doc__)
    parser.add_argument("--where", type=Path, default=Path(".cache/look"), help="the directory for pages and images")
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"some of them: {', '.join(SHAPES)}")
    parser.add_argument("--example", action="store_true", help="only draw the picture of examples/office anew")
    asked = parser.parse_args()
    if asked.example:
        draw_example()
        return 0
    unknown = set(asked.shapes) - set(SHAPES)
    if unknown:
        parser.error(f"no such shape: {', '.join(sorted(unknown))}")
    asked.where.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for shape in asked.shapes or SHAPES:
        for size in SIZES:
            pictures[f"{shape}-{size}"] = SHAPES[shape](size)
            pictures[f"{shape}-{size}-marked"] = marked(SHAPES[shape](size))
    drawn = {name: draw_svg(picture, prefix=f"{name}-") for name, picture in pictures.items()}
    faults = 0
    for scheme in SCHEMES:
        told = measured(scheme, drawn, asked.where)
        if told["dark"] is not (scheme == "dark"):
            told["found"].append(f"the browser is not in {scheme}")
        print(f"  {scheme}: {len(drawn)} pictures, {told['texts']} texts, lowest contrast {told['lowest']:.1f}")
        for fault in told["found"][:50]:
            print(f"    {fault}")
        faults += len(told["found"])
        for name, svg in drawn.items():
            if asked.shapes or name.startswith(("docker", "clos", "office")):
                photographed(scheme, name, svg, asked.where)
    print(f"  to look at: {asked.where}/*.png; all of them: {asked.where}/all.html")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
