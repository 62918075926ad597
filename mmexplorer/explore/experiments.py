"""Experiment cards: data files that fill a tab's inputs, say what to predict and what to look for.

A card never runs a model. Cards of a tab lie in assets/experiments/<tab>/*.yaml in the order of their file names;
every card has the fields of `Card`.
"""

from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path

import yaml

from mmexplorer.presets import preset

ASSETS = Path(__file__).parents[2] / "assets"


@dataclass(frozen=True)
class Card:
    """One experiment: predict, run, compare, explain.

    pictures are file names in assets/images/<tab>; models are preset keys; templates and labels as in `classify`;
    settings are values for further controls of the tab, by the tab's names for them.
    """

    key: str
    tab: str
    title: str
    predict: str
    look_for: str
    explanation: str
    source: str
    pictures: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    models: tuple[str, ...] = ("toy-clip",)
    templates: tuple[str, ...] = ("{}",)
    settings: dict[str, str | int | bool] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The pictures' files."""
        return tuple(ASSETS / "images" / self.tab / name for name in self.pictures)


@cache
def cards(tab: str) -> tuple[Card, ...]:
    """All cards of a tab. Raises ValueError for a card with missing or unknown fields, files or models."""
    return tuple(_card(tab, path) for path in sorted((ASSETS / "experiments" / tab).glob("*.yaml")))


def _card(tab: str, path: Path) -> Card:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = [f for f in fields(Card) if f.name not in ("key", "tab")]
    missing = [f.name for f in known if f.default is MISSING and f.default_factory is MISSING and f.name not in data]
    unknown = set(data) - {f.name for f in known}
    for what, names in (("unknown", sorted(unknown)), ("missing", sorted(missing))):
        if names:
            raise ValueError(f"{path.name} has {what} fields: {', '.join(names)}.")
    values = {name: _plain(value) for name, value in data.items()}
    card = Card(key=path.stem, tab=tab, **values)
    for picture in card.paths:
        if not picture.is_file():
            raise ValueError(f"{path.name} names a picture that does not exist: {picture.name}.")
    for key in card.models:
        preset(key)
    return card


def _plain(value):
    """YAML keeps the line break after a folded text, and has lists where a card has tuples."""
    return tuple(value) if isinstance(value, list) else value.strip() if isinstance(value, str) else value
