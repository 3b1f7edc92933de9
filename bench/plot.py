"""Plots as SVG: groups of bars, and lines over an axis of logarithms.

A plot is a card with a background of its own, light or dark as the reader's screen is, so that
it can be read on any page.
"""
import math
from xml.sax.saxutils import escape

WIDTH = 760
LIGHT = {"page": "#ffffff", "edge": "#d0d7de", "text": "#1f2328", "faint": "#59636e",
         "ours": "#0969da", "peer": "#8c959f", "limit": "#1a7f37",
         "lines": ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#bf3989", "#59636e")}
DARK = {"page": "#0d1117", "edge": "#3d444d", "text": "#e6edf3", "faint": "#9198a1",
        "ours": "#4493f8", "peer": "#656c76", "limit": "#3fb950",
        "lines": ("#4493f8", "#f0883e", "#3fb950", "#ab7df8", "#d29922", "#db61a2", "#9198a1")}


def rules(colours):
    """Plain rules for every class: not every program that shows SVG knows variables of CSS."""
    kinds = [".card { fill: %(page)s; stroke: %(edge)s }", "text { fill: %(text)s }",
             ".faint { fill: %(faint)s }", ".grid { stroke: %(edge)s }", ".ours { fill: %(ours)s }",
             ".peer { fill: %(peer)s }", ".limit { fill: %(limit)s }"]
    return "\n".join([kind % colours for kind in kinds] + [
        ".line%d { stroke: %s } .dot%d { fill: %s }" % (number, colour, number, colour)
        for number, colour in enumerate(colours["lines"])])


STYLE = """
text { font: 13px system-ui, sans-serif }
.title { font-size: 16px; font-weight: 600 }
.head { font-weight: 600 }
.faint { font-size: 12px }
.line { fill: none; stroke-width: 2 }
%s
@media (prefers-color-scheme: dark) {
%s
}
""" % (rules(LIGHT), rules(DARK))


def text(x, y, words, kind="", anchor="start"):
    return '<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>' % (
        x, y, kind, anchor, escape(words))


def card(height, title, parts):
    return "\n".join(
        ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
         'role="img">' % (WIDTH, height, WIDTH, height),
         "<title>%s</title>" % escape(title), "<style>%s</style>" % STYLE,
         '<rect class="card" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>' % (
             WIDTH - 1, height - 1),
         text(20, 30, title, "title")] + parts + ["</svg>", ""])


def bars(title, groups):
    """Groups are (heading, [(name, value, label, kind)]); each has a scale of its own.

    A bar far beyond the others is cut, which its end shows; its label has the value.
    """
    left, right, step = 300, WIDTH - 120, 24
    parts, y = [], 52
    for heading, rows in groups:
        most = scale_of([value for _, value, _, kind in rows if kind == "ours"],
                        [value for _, value, _, _ in rows])
        parts.append(text(20, y + 12, heading, "head"))
        y += 24
        for name, value, label, kind in rows:
            length = max(min(value / most, 1) * (right - left), 1)
            parts.append(text(left - 10, y + 13, name, "", "end"))
            parts.append('<rect class="%s" x="%d" y="%.1f" width="%.1f" height="16" rx="2"/>' % (
                kind, left, y, length))
            if value > most:
                parts.append('<path class="card" d="M%d %.1f l6 -20 h5 l-6 20 z"/>' % (
                    right - 24, y + 18))
            parts.append(text(left + length + 6, y + 13, label, "faint"))
            y += step
        y += 10
    return card(y + 8, title, parts)


def scale_of(ours, values):
    """What fills the width: everything, or some times ours where the rest is far away."""
    return 3 * max(ours) if ours and max(values) > 6 * max(ours) else max(values)


class Axis:
    """Where values are on a line, by their logarithms or not, and which get a label."""

    def __init__(self, values, begin, end, log):
        self.begin, self.end = begin, end
        self.position = math.log2 if log else float
        self.least, self.most = self.position(min(values)), self.position(max(values))

    def place(self, value):
        span = self.most - self.least
        return self.begin + (self.end - self.begin) * (
            (self.position(value) - self.least) / span if span else 0.5)

    def labelled(self, values, gap):
        """Those values whose labels have room."""
        chosen = []
        for value in sorted(values):
            if not chosen or abs(self.place(value) - self.place(chosen[-1])) >= gap:
                chosen.append(value)
        return chosen


def steps(values, log):
    """Round numbers around the values of the upright axis."""
    if not log:
        return [nice(max(values)) * tick / 4 for tick in range(5)]
    decade = 10 ** math.floor(math.log10(min(values)))
    found = [decade]
    while found[-1] < max(values):
        decade *= 10
        found += [decade / 5, decade / 2, decade]
    while len(found) > 2 and found[1] <= min(values):
        found.pop(0)
    while len(found) > 2 and found[-2] >= max(values):
        found.pop()
    return found


def lines(title, labels, series, log):
    """Series are {name: [[x, y], …]}. Values far apart get an axis of logarithms."""
    height, left, right, top, bottom = 390, 70, WIDTH - 210, 76, 330
    xs = {x for line in series.values() for x, _ in line}
    ys = {y for line in series.values() for _, y in line}
    steep = min(ys) > 0 and max(ys) > 20 * min(ys)
    marks = steps(ys, steep)
    across, up = Axis(xs, left, right, log), Axis(marks, bottom, top, steep)
    parts = [text(20, 56, labels[1], "faint"),
             text((left + right) / 2, height - 14, labels[0], "faint", "middle")]
    for mark in up.labelled(marks, 20):
        y = up.place(mark)
        parts.append('<path class="grid" d="M%d %.1f H%d"/>' % (left, y, right))
        parts.append(text(left - 8, y + 4, short(mark), "faint", "end"))
    for x in across.labelled(xs, 34):
        parts.append(text(across.place(x), bottom + 20, short(x), "faint", "middle"))
    ends = []
    for number, (name, line) in enumerate(series.items()):
        number %= len(LIGHT["lines"])
        spots = [(across.place(x), up.place(y)) for x, y in line]
        parts.append('<path class="line line%d" d="M%s"/>' % (
            number, " L".join("%.1f %.1f" % spot for spot in spots)))
        parts += ['<circle class="dot%d" cx="%.1f" cy="%.1f" r="3"/>' % (number, *spot)
                  for spot in spots]
        ends.append([spots[-1][1], name, "dot%d" % number])
    parts += [text(right + 12, y + 4, name, kind) for y, name, kind in apart(ends)]
    return card(height, title, parts)


def apart(ends, gap=17):
    """Move the names at the ends of lines until none covers another."""
    ends = sorted(ends)
    for before, after in zip(ends, ends[1:]):
        after[0] = max(after[0], before[0] + gap)
    return ends


def nice(value):
    """A round number at or above a value."""
    unit = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(unit * step for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if unit * step >= value)


def short(value):
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return "%g%s" % (round(value / limit, 1), suffix)
    return "%.3g" % value
