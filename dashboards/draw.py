#!/usr/bin/env python3
"""Draws every dashboard from a live Prometheus, one picture a page; fails if any panel is in error or empty.

    python3 dashboards/draw.py http://127.0.0.1:9090 docs/dashboards --minutes 10

Each query goes through Prometheus' own API with the page's variables filled in, so a picture shows what Grafana would draw,
without its looks. Needs matplotlib.
"""
import argparse
import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402

HERE = pathlib.Path(__file__).parent
BACK, PANEL, INK, FAINT = "#111217", "#181b1f", "#d8d9da", "#7b8087"
COLORS = ["#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D", "#FADE2A", "#447EBC", "#C15C17"]
NAMED = {"green": "#73BF69", "red": "#F2495C"}


def ask(url, path, **query):
    with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(query)}", timeout=20) as answer:
        return json.load(answer)["data"]["result"]


def fill(expr, step):
    return expr.replace("$__rate_interval", f"{max(60, 4 * step)}s").replace("$network", ".+").replace("$instance", ".+")


def legend(template, labels):
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template


def short(value, unit):
    """A value as people read it."""
    if unit == "bytes" or unit == "Bps":
        for suffix in ["B", "KiB", "MiB", "GiB", "TiB"]:
            if abs(value) < 1024:
                return f"{value:.4g} {suffix}" + ("/s" if unit == "Bps" else "")
            value /= 1024
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        if abs(value) < 1:
            return f"{1000 * value:.3g} ms"
        if abs(value) < 120:
            return f"{value:.3g} s"
        return f"{value / 60:.3g} min"
    if unit == "dateTimeAsIso":
        return time.strftime("%H:%M:%S", time.gmtime(value / 1000))
    suffix = {"ops": "/s", "reqps": " req/s", "ETH": " ETH", "gwei": " gwei"}.get(unit, "")
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value)}{suffix}"
    return f"{value:.4g}{suffix}"


def color_of(thresholds, value):
    chosen = "green"
    for step in thresholds["steps"]:
        if step["value"] is None or value >= step["value"]:
            chosen = step["color"]
    return NAMED.get(chosen, chosen)


def series_of(url, panel, start, end, step):
    """(legend, times, values) of each series; errors end the program with the panel's name."""
    found = []
    for target in panel["targets"]:
        query = fill(target["expr"], step)
        for one in ask(url, "/api/v1/query_range", query=query, start=start, end=end, step=step):
            points = [(t, float(v)) for t, v in one["values"] if v not in ("NaN", "+Inf", "-Inf")]
            if points:
                times, values = zip(*points)
                found.append((legend(target["legendFormat"], one["metric"]), times, values))
    return found


def draw_stat(axes, panel, series):
    defaults = panel["fieldConfig"]["defaults"]
    axes.axis("off")
    count = len(series[:4])
    for place, (name, _, values) in enumerate(series[:4]):
        value = values[-1]
        words = defaults.get("mappings", [{}])[0].get("options", {}) if defaults.get("mappings") else {}
        word = words.get(str(int(value)), {}).get("text") or short(value, defaults["unit"])
        y = 1 - (place + 0.5) / count
        axes.text(0.04, y, word, color=color_of(defaults["thresholds"], value), fontsize=15 if count > 2 else 19, va="center", weight="bold")
        axes.text(0.97, y, name, color=FAINT, fontsize=7, va="center", ha="right")


def draw_graph(axes, panel, series):
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    base = {}
    for place, (name, times, values) in enumerate(series):
        color = COLORS[place % len(COLORS)]
        dates = matplotlib.dates.date2num([matplotlib.dates.num2date(t / 86400) for t in times])
        if stacked:
            under = [base.get(t, 0) for t in times]
            values = [v + u for v, u in zip(values, under)]
            base.update(dict(zip(times, values)))
            axes.fill_between(dates, under, values, color=color, alpha=0.35, linewidth=0)
        axes.plot(dates, values, color=color, linewidth=1, label=name, marker="." if len(dates) < 3 else None)
    for step in defaults["thresholds"]["steps"][1:] if defaults["custom"]["thresholdsStyle"]["mode"] == "line" else []:
        low, high = axes.get_ylim()
        if low <= step["value"] <= high * 1.5:
            axes.axhline(step["value"], color=NAMED.get(step["color"], step["color"]), linewidth=0.8, linestyle="--")
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M"))
    axes.xaxis.set_major_locator(matplotlib.dates.AutoDateLocator(maxticks=6))
    axes.yaxis.set_major_formatter(lambda value, _: short(value, defaults["unit"]))
    if defaults.get("min") == 0 and all(value >= 0 for _, _, values in series for value in values):
        axes.set_ylim(bottom=0)
    axes.tick_params(colors=FAINT, labelsize=6.5)
    axes.grid(color="#2a2e34", linewidth=0.5)
    for side in axes.spines.values():
        side.set_visible(False)
    shown = axes.legend(fontsize=5.6, loc="upper left", bbox_to_anchor=(0, -0.11), ncol=3, frameon=False, labelcolor=INK, handlelength=1, columnspacing=0.8)
    # Everything that is drawn is named, up to what fits under the panel.
    for text in shown.get_texts()[9:]:
        text.set_visible(False)
    for handle in shown.legend_handles[9:]:
        handle.set_visible(False)


def draw(url, path, out, start, end, step):
    dashboard = json.loads(path.read_text())
    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(19, 0.42 * rows + 0.6), facecolor=BACK)
    scale = 0.42 / (0.42 * rows + 0.6)
    figure.text(0.01, 1 - 0.3 / (0.42 * rows + 0.6), dashboard["title"], color=INK, fontsize=14, weight="bold", va="center")
    top = 1 - 0.6 / (0.42 * rows + 0.6)
    empty = []
    for panel in panels:
        grid = panel["gridPos"]
        x, y, w, h = grid["x"] / 24, top - (grid["y"] + grid["h"]) * scale, grid["w"] / 24, grid["h"] * scale
        if panel["type"] == "row":
            figure.text(0.01, y + h / 2, panel["title"], color=INK, fontsize=10, va="center")
            continue
        card = plt.Rectangle((x + 0.003, y + 0.1 * scale), w - 0.006, h - 0.2 * scale, transform=figure.transFigure, facecolor=PANEL, edgecolor="#26292e", zorder=-1)
        figure.add_artist(card)
        figure.text(x + 0.008, y + h - 0.45 * scale, panel["title"], color=INK, fontsize=8.5, va="center")
        series = series_of(url, panel, start, end, step)
        if not series:
            empty.append(f"{path.stem} / {panel['title']}")
            figure.text(x + w / 2, y + h / 2, "No data", color=NAMED["red"], fontsize=12, ha="center")
            continue
        under = 0.25 if panel["type"] == "stat" else 2.1
        axes = figure.add_axes((x + (0.008 if panel["type"] == "stat" else 0.036), y + under * scale, w - (0.016 if panel["type"] == "stat" else 0.046), h - (under + 0.95) * scale), facecolor=PANEL)
        (draw_stat if panel["type"] == "stat" else draw_graph)(axes, panel, series)
    figure.savefig(out / f"{path.stem}.png", dpi=80, facecolor=BACK)
    plt.close(figure)
    return empty


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--skip", nargs="*", default=[], help="pages of what does not run")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    end = time.time()
    start, step = end - 60 * given.minutes, max(5, int(60 * given.minutes / 200))
    empty = []
    for path in sorted(one for one in HERE.glob("*.json") if one.stem not in given.skip):
        empty += draw(given.url, path, given.out, start, end, step)
        print(path.stem)
    if empty:
        sys.exit("without data:\n" + "\n".join(empty))


if __name__ == "__main__":
    main()
