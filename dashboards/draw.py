#!/usr/bin/env python3
"""Draws every dashboard from a live Prometheus, one picture a page; fails if any panel is in error or empty.

    python3 dashboards/draw.py http://127.0.0.1:9090 docs/dashboards --minutes 10

Each query goes through Prometheus' own API with the page's variables filled in; the answers are drawn by the components that
Grafana's panels are made of (dashboards/grafana), in a headless Chromium. Needs Node with npm, and Chromium.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
GRAFANA = HERE / "grafana"
# Of the page, in pixels: as page.jsx has them.
WIDTH, ROW, MARGIN = 1856, 38, 80
HTML = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css"><style>body{margin:0}</style><div id="root"></div>
<script>window.DRAWN = %s</script><script src="page.js"></script>"""


def ask(url, path, **query):
    with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(query)}", timeout=20) as answer:
        return json.load(answer)["data"]["result"]


def fill(expr, step):
    return expr.replace("$__rate_interval", f"{max(60, 4 * step)}s").replace("$network", ".+").replace("$instance", ".+")


def legend(template, labels):
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template


def series_of(url, panel, start, end, step):
    """What a panel shows; an error ends the program. A gap is a gap in the picture, too."""
    found = []
    for target in panel["targets"]:
        query = fill(target["expr"], step)
        for one in ask(url, "/api/v1/query_range", query=query, start=start, end=end, step=step):
            known = {round(t): float(v) for t, v in one["values"] if math.isfinite(float(v))}
            if known:
                times = range(min(known), max(known) + 1, step)
                values = [known.get(t) for t in times]
                found.append({"name": legend(target["legendFormat"], one["metric"]), "times": [1000 * t for t in times], "values": values})
    return found


def evaluate(url, page, start, end, step):
    """All series of a page by panel, and the titles of panels without any."""
    series, empty = {}, []
    for panel in page["panels"]:
        if panel["type"] != "row":
            series[panel["id"]] = series_of(url, panel, start, end, step)
            if not series[panel["id"]]:
                empty.append(f"{page['title']} / {panel['title']}")
    return series, empty


def bundle(folder):
    if not (GRAFANA / "node_modules").exists():
        subprocess.run(["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], cwd=GRAFANA, check=True)
    loaders = [f"--loader:.{kind}=dataurl" for kind in ("ttf", "svg", "woff2")]
    subprocess.run(["npx", "esbuild", "page.jsx", "--bundle", "--minify", "--jsx=automatic", '--define:process.env.NODE_ENV="production"',
                    f"--outfile={folder / 'page.js'}", "--log-level=error", *loaders], cwd=GRAFANA, check=True)


def photograph(folder, page, drawn, picture):
    html = folder / "page.html"
    html.write_text(HTML % json.dumps(drawn).replace("</", "<\\/"))
    height = MARGIN + ROW * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in page["panels"])
    subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{height}", "--virtual-time-budget=8000",
                    f"--user-data-dir={folder / 'browser'}", f"--screenshot={picture}", html.as_uri()], check=True, capture_output=True, timeout=120)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--skip", nargs="*", default=[], help="pages of what does not run")
    arguments.add_argument("--only", nargs="*", help="these pages and no others")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    step = max(5, int(60 * given.minutes / 200))
    end = int(time.time())
    start, missing = end - int(60 * given.minutes), []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bundle(folder)
        wanted = [one for one in HERE.glob("*.json") if one.stem not in given.skip and (given.only is None or one.stem in given.only)]
        for path in sorted(wanted):
            page = json.loads(path.read_text())
            series, empty = evaluate(given.url, page, start, end, step)
            photograph(folder, page, {"page": page, "series": series, "from": 1000 * start, "to": 1000 * end}, (given.out / f"{path.stem}.png").resolve())
            missing += empty
            print(path.stem, "drawn,", sum(map(len, series.values())), "series")
    if missing:
        sys.exit("without data:\n" + "\n".join(missing))


if __name__ == "__main__":
    main()
