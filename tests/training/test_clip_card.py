"""The cards and the README show the figures of the reports, and nothing older."""

import pytest

from mmexplorer.presets import ROOT, preset
from mmexplorer.training import clip_card


def test_the_readme_shows_the_reports_figures():
    assert clip_card.table(clip_card.KEYS, clip_card.CHIEF) in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", clip_card.KEYS)
def test_a_card_shows_its_reports_figures(key):
    written = (preset(key).path / "README.md").read_text(encoding="utf-8")
    assert written == clip_card.card(key)
    for figure in clip_card.report(key).values():
        assert f"{100 * figure['value']:.1f} % | {figure['samples']:,} |" in written


def test_only_the_marked_part_of_a_text_is_replaced():
    assert clip_card.filled("a<1>old<2>b", "new", ("<1>", "<2>")) == "a<1>\nnew\n<2>b"
