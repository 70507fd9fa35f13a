"""The colours of charts: by name, so that the page can change them, or fixed for files."""

from __future__ import annotations

from dataclasses import dataclass

LIGHT = {
    "ground": "#ffffff",
    "ink": "#17202b",
    "muted": "#526071",
    "line": "#d9dfe7",
    "faint": "#e9eef4",
    "c1": "#2b5fcf",
    "c2": "#c2651a",
    "c3": "#17806a",
    "c4": "#a8387a",
    "c5": "#6f5bd0",
    "c6": "#8a6a1f",
    "c7": "#5d6b7b",
}
DARK = {
    "ground": "#171d25",
    "ink": "#e9eef4",
    "muted": "#a5b2c1",
    "line": "#323d4a",
    "faint": "#232c37",
    "c1": "#7fa5ff",
    "c2": "#f0a35e",
    "c3": "#52c4a5",
    "c4": "#e684ba",
    "c5": "#b3a4fa",
    "c6": "#d3b576",
    "c7": "#98a6b6",
}
SERIES = ("c1", "c2", "c3", "c4", "c5", "c6", "c7")


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by name. With `is_fixed` those of `LIGHT`, else what the page says they are."""

    is_fixed: bool

    def __call__(self, name: str) -> str:
        """A colour as SVG takes it."""
        return LIGHT[name] if self.is_fixed else f"var(--{name})"

    @property
    def series(self) -> list[str]:
        """Colours that tell parts from each other."""
        return [self(name) for name in SERIES]


def as_css(colours: dict[str, str]) -> str:
    """Colours as custom properties."""
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())
