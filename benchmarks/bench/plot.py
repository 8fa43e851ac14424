"""The rates as bars in one SVG, panel by panel, each bar with the spread of its rounds."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from benchmarks.bench.results import Spread, Turn, spread
from benchmarks.bench.row import H2LOAD, Row
from benchmarks.bench.rows import PANELS

WIDTH, LEFT, RIGHT = 980, 400, 130
BAR, GAP, TITLE = 16, 8, 40
COLOURS = {H2LOAD: "#2f6f9f"}
OTHER = "#9a9a9a"
# A name and no place: with its colon written out, nothing takes it for an address.
NAMESPACE = "http&#58;//www.w3.org/2000/svg"


def svg(turns: Mapping[str, Sequence[Turn]]) -> str:
    """Each panel has its own scale, from 0 on."""
    parts: list[str] = []
    top = 16
    for panel in PANELS:
        measured = [(row, _rates(row, turns[row.key])) for row in panel.rows if turns.get(row.key)]
        if measured:
            parts.append(_text(16, top + 18, panel.title, bold=True))
            top += TITLE
            longest = max(rates.most for _, rates in measured)
            for row, rates in measured:
                parts += _bar(row, rates, top, (WIDTH - LEFT - RIGHT) / longest)
                top += BAR + GAP
    head = (
        f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {WIDTH} {top + 34}" font-family="sans-serif" font-size="12">'
    )
    legend = _text(16, top + 20, "Units or calls a second: median, least and most. Blue: client in C.")
    background = f'<rect width="{WIDTH}" height="{top + 34}" fill="#ffffff"/>'
    return "\n".join([head, background, *parts, legend, "</svg>"]) + "\n"


def _rates(row: Row, turns: Sequence[Turn]) -> Spread:
    return spread(turns, lambda turn: turn.rate * row.units)


def _bar(row: Row, rates: Spread, top: int, scale: float) -> list[str]:
    middle = top + BAR / 2
    least, end, most = (LEFT + value * scale for value in (rates.least, rates.median, rates.most))
    in_flight = f", {row.in_flight}" if row.in_flight else ""
    return [
        _text(LEFT - 8, top + 12, f"{row.title} ({row.client}{in_flight})", anchor="end"),
        f'<rect x="{LEFT}" y="{top}" width="{end - LEFT:.1f}" height="{BAR}"'
        f' fill="{COLOURS.get(row.client, OTHER)}"/>',
        f'<path d="M{least:.1f} {middle}H{most:.1f}M{least:.1f} {top + 3}v{BAR - 6}M{most:.1f} {top + 3}v{BAR - 6}"'
        ' stroke="#111111" fill="none"/>',
        _text(max(end, most) + 8, top + 12, f"{rates.median:,.0f}"),
    ]


def _text(x: float, y: float, words: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}"{weight} fill="#111111">{escape(words)}</text>'
