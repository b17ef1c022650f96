"""Sphinx extension: `:::{explore}`, the recorded seeds as a figure that answers to three choices.

All states are computed when the page is made. Radio buttons choose one with CSS alone, so the figure needs
neither JavaScript nor a connection; what is chosen is what a printer gets.
"""

import itertools
from html import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

RECORD = "waterdigits_requests"
SAMPLINGS = {"none": "retrain", "replacement": "retrain + REWEIGHT", "top_up": "retrain + top-up"}
SEEDS = (3, 5, 10)
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 300, 44, 14, 12, 44


def read():
    """{(sampling, ratio): (seeds,) GA}, the same of no-op and ceiling by ratio, and the ratios as text."""
    import gru_lite as gru

    table, _ = gru.read_record(RECORD)
    ratios = [f"{r:g}" for r in sorted(table["ratio"].astype(float).unique())]
    of = {(s, r): gru.select(table, "retrain", float(r), s)["GA"] for s in SAMPLINGS for r in ratios}
    nothing = {r: gru.select(table, "original", float(r))["GA"] for r in ratios}
    ceiling = {r: gru.select(table, "ceiling", float(r), "replacement")["GA"] for r in ratios}
    return of, nothing, ceiling, ratios


def comparison(values, yardstick, name):
    """What these seeds say of the difference to a yardstick, as HTML."""
    import gru_lite as gru

    difference = values - yardstick
    mean, half = gru.mean_interval(difference)
    more = f"{abs(mean):.1f} points {'more' if mean > 0 else 'less'} than {name}"
    interval = f"95% interval of the difference {mean - half:+.1f} to {mean + half:+.1f}"
    if abs(mean) > half:
        return f"<li>{more} ({interval}). <strong>{len(values)} seeds can tell.</strong></li>"
    least = gru.smallest_difference(difference)
    return (
        f"<li>{more} ({interval}). <strong>{len(values)} seeds can't tell.</strong> They would find a true "
        f"difference of {least:.1f} points four times out of five.</li>"
    )


class Picture:
    """GA against the ratio, as SVG whose parts have the classes of the choices that show them."""

    def __init__(self, ratios):
        self.ratios = ratios

    def x(self, ratio):
        return LEFT + (WIDTH - LEFT - RIGHT) * float(ratio)

    def y(self, accuracy):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * accuracy / 100

    def points(self, means):
        return [f"{self.x(r):.1f},{self.y(m):.1f}" for r, m in zip(self.ratios, means)]

    def line(self, means, kind):
        return f'<polyline class="{kind}" points="{" ".join(self.points(means))}"/>'

    def frame(self):
        parts = []
        for accuracy in (0, 25, 50, 75, 100):
            y = self.y(accuracy)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 5:.1f}">{accuracy}</text>')
        for ratio in self.ratios:
            x = self.x(ratio)
            parts.append(f'<text class="middle" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}">{ratio}</text>')
            parts.append(
                f'<line class="chosen ratio-{key(ratio)}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" '
                f'y2="{HEIGHT - BOTTOM}"/>'
            )
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text class="middle" x="{middle}" y="{HEIGHT - 6}">share that is forgotten</text>')
        return parts

    def band(self, nothing, ceiling):
        outline = self.points(nothing) + self.points(ceiling)[::-1]
        return f'<polygon class="band" points="{" ".join(outline)}"/>'

    def curve(self, intervals, kind):
        parts = [self.line([mean for mean, _ in intervals], "curve")]
        for ratio, (mean, half) in zip(self.ratios, intervals):
            x, low, high = self.x(ratio), self.y(max(mean - half, 0)), self.y(min(mean + half, 100))
            parts.append(f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
            parts.append(f'<circle class="mean" cx="{x:.1f}" cy="{self.y(mean):.1f}" r="4"/>')
        return f'<g class="state {kind}">{"".join(parts)}</g>'


def key(ratio):
    return ratio.replace(".", "")


def radios(legend, group, choices, chosen):
    """A group of radio buttons; choices: {value: words}."""
    buttons = "".join(
        f'<label><input type="radio" name="explore-{group}" value="{value}"{" checked" * (value == chosen)}> '
        f"{escape(words)}</label>"
        for value, words in choices.items()
    )
    return f"<fieldset><legend>{escape(legend)}</legend>{buttons}</fieldset>"


def html():
    import gru_lite as gru

    of, nothing, ceiling, ratios = read()
    picture = Picture(ratios)
    means = {name: [values[r].mean() for r in ratios] for name, values in (("no", nothing), ("up", ceiling))}
    drawn = [*picture.frame(), picture.band(means["no"], means["up"])]
    drawn += [picture.line(means["no"], "no-op"), picture.line(means["up"], "ceiling")]
    said = []
    for sampling, n in itertools.product(SAMPLINGS, SEEDS):
        kind = f"sampling-{sampling} seeds-{n}"
        first = {r: of[sampling, r].iloc[:n] for r in ratios}
        drawn.append(picture.curve([gru.mean_interval(first[r]) for r in ratios], kind))
        for r in ratios:
            items = comparison(first[r], nothing[r].iloc[:n], "doing nothing")
            if sampling != "replacement":  # the ceiling is one of these models
                items += comparison(first[r], ceiling[r].iloc[:n], "the ceiling")
            said.append(
                f'<div class="state {kind} ratio-{key(r)}"><p>{escape(SAMPLINGS[sampling])}, '
                f"{float(r):.0%} of the group forgotten, {n} seeds: {first[r].mean():.1f}% of its test "
                f"images are right. That is</p><ul>{items}</ul></div>"
            )
    controls = radios("Model", "sampling", SAMPLINGS, "none")
    controls += radios("Forgotten share", "ratio", {key(r): r for r in ratios}, key(ratios[len(ratios) // 2]))
    controls += radios("Seeds", "seeds", {str(n): f"first {n}" if n < 10 else "all ten" for n in SEEDS}, "10")
    label = (
        "Test accuracy of the forgotten group against the share that is forgotten: the chosen model with its "
        "95% interval, and the band between doing nothing, above, and the ceiling, below."
    )
    legend = (
        '<p class="legend"><span class="no-op">doing nothing</span> <span class="ceiling">ceiling</span> '
        '<span class="curve">chosen model, 95% interval</span></p>'
    )
    return (
        f'<style>{css(ratios)}</style><div class="explore"><div class="choices">{controls}</div>{legend}'
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(drawn)}</svg>'
        f'<div class="said" aria-live="polite">{"".join(said)}</div></div>'
    )


def css(ratios):
    """Hide all states but the chosen one. A browser that does not know :has() shows them all."""
    rules = []
    for group, values in {"sampling": SAMPLINGS, "ratio": map(key, ratios), "seeds": SEEDS}.items():
        for value in values:
            chosen = f'.explore:has([name="explore-{group}"][value="{value}"]:checked)'
            rules.append(f'{chosen} [class*=" {group}-"]:not(.{group}-{value}) {{ display: none }}')
    return "\n".join(rules)


class Explore(SphinxDirective):
    def run(self):
        return [nodes.raw("", html(), format="html")]


def setup(app):
    app.add_directive("explore", Explore)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
