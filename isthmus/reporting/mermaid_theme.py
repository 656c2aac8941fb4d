"""How pictures look. Prefect's page puts them on dark ground, be the page itself light or dark."""

import json
from typing import Any

RED = "#d1242f"
"""What is wrong, in the picture of the mesh."""
NEUTRAL_GREY = "#8c959f"
"""What stands outside of all boxes must be seen on light and on dark."""
_STYLE = f".section {{opacity: 1;}} .grid .tick text {{fill: {NEUTRAL_GREY};}}"
_COLOURS = {
    "background": "#ffffff",
    "primaryColor": "#ffffff",
    "primaryTextColor": "#1f2328",
    "primaryBorderColor": "#8c959f",
    "lineColor": NEUTRAL_GREY,
    "textColor": "#1f2328",
    "titleColor": "#1f2328",
    "mainBkg": "#ffffff",
    "nodeBorder": "#8c959f",
    "clusterBkg": "#f6f8fa",
    "clusterBorder": "#8c959f",
    "edgeLabelBackground": "#ffffff",
    "sectionBkgColor": "#d0d7de",
    "altSectionBkgColor": "#ffffff",
    "gridColor": "#d0d7de",
    "doneTaskBkgColor": "#d0d7de",
    "doneTaskBorderColor": "#8c959f",
    "activeTaskBkgColor": "#fff8c5",
    "activeTaskBorderColor": "#9a6700",
    "critBkgColor": "#ffb3ad",
    "critBorderColor": RED,
    "taskTextColor": "#1f2328",
    "taskTextDarkColor": "#1f2328",
    "taskTextOutsideColor": "#1f2328",
}


def directive(**options: Any) -> str:
    """Return the line of Mermaid's source that says how to draw; `options` are a diagram's own."""
    look = {"theme": "base", "themeVariables": _COLOURS, "themeCSS": _STYLE}
    return f"%%{{init: {json.dumps({**look, **options})}}}%%"
