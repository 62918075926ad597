"""The folds of the text-to-image tab in a real Chromium: several pictures, a changed word, scores, and the program."""

import base64
import io
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmexplorer
from mmexplorer.explore import drawing_early, drawing_scores
from mmexplorer.models import diffusion_batch
from mmexplorer.tabs import draw_grids

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
PROMPT, OTHER = "a red circle to the left of a blue square", "a green star"
ROUNDING = 4  # levels of 255 by which pictures that were computed together may differ from a single one


class Fold:
    """One fold of the tab, open, as a visitor handles it."""

    def __init__(self, draw, name: str):
        self.page, self.name = draw.page, name
        self.status = self.page.locator(f"#draw-{name}-status .mmx-status")
        self.cells = self.page.locator(f"#draw-{name} .cell:enabled")
        draw.unfold(self.page.locator(f"#draw-{name}-fold > button").first.inner_text())
        self.status.wait_for()

    def press(self, button: str = "run") -> None:
        self.page.locator(f"#draw-{self.name}-{button}").click()

    def fill(self, name: str, value) -> None:
        self.page.locator(f"#draw-{self.name}-{name}").locator("input, textarea").first.fill(str(value))

    def choose(self, name: str, option: str) -> None:
        self.page.locator(f"#draw-{self.name}-{name} input").click()
        listed = self.page.get_by_test_id("dropdown-option")
        listed.and_(self.page.get_by_role("option", name=option, exact=True)).click()
        expect(listed).to_have_count(0)

    def axes(self, row: str, row_values: str | None, column: str, column_values: str | None) -> None:
        """Both axes of the grid; values that are None stay as they are suggested."""
        for side, kind, values in (("row", row, row_values), ("column", column, column_values)):
            if self.page.locator(f"#draw-grid-{side} input").input_value() != kind:
                # The values that the server suggests would take the place of those that are filled in before.
                with self.page.expect_response(lambda answer, kind=kind: _asks_for(answer.request, kind)):
                    self.choose(side, kind)
            expect(self.page.locator(f"#draw-grid-{side}-values")).to_contain_text(draw_grids.HOW[kind.lower()][:20])
            if values is not None:
                self.fill(f"{side}-values", values)

    @contextmanager
    def finished(self):
        """Waits until what the block starts has come to an end, whatever that is."""
        self.status.evaluate("line => { line.dataset.old = 'yes'; }")
        yield
        self.page.wait_for_function(
            """(name) => {
                const line = document.querySelector(`#draw-${name}-status .mmx-status`);
                return line && !line.dataset.old && !line.classList.contains('mmx-busy');
            }""",
            arg=self.name,
            timeout=90_000,
        )

    def run(self, button: str = "run") -> str:
        """Presses the button and returns the status line at the end."""
        with self.finished():
            self.press(button)
        return self.status.inner_text()

    def picture(self, row: int, column: int) -> np.ndarray:
        image = self.page.locator(f'#draw-{self.name} .cell[data-row="{row}"][data-column="{column}"] img')
        data = image.get_attribute("src").split(",")[1]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), int)

    def labels(self, part: str) -> list[str]:
        return self.page.locator(f"#draw-{self.name} {part} th").all_inner_texts()

    def save(self, kind: str, path: Path) -> Image.Image:
        with self.page.expect_download() as download:
            self.press(kind)
        download.value.save_as(path)
        return Image.open(path)


def _asks_for(request, kind: str) -> bool:
    return "/run/predict" in request.url and f'"{kind}"'.lower() in (request.post_data or "").lower()


@pytest.fixture
def fold(draw):
    """A function that opens a fold of the tab, where drawings have two steps."""
    draw.fill(prompt=PROMPT, steps=2)
    return lambda name: Fold(draw, name)


def drawn(prompt: str = PROMPT, **settings) -> np.ndarray:
    *_, last = mmexplorer.draw(prompt, **{"steps": 2, **settings}, maps=False)
    return np.asarray(last.drawing.image.convert("RGB"), int)


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    return np.abs(a - b).max() <= ROUNDING


# Grid


def test_a_grid_has_the_packages_pictures_and_gives_its_settings_back(draw, fold, tmp_path):
    grid = fold("grid")
    grid.axes("Seed", "3, 4", "Guidance", "1, 6.5")
    assert "drew 4 pictures" in grid.run()
    assert (grid.labels("tbody"), grid.labels("thead")) == (["3", "4"], ["1", "6.5"])
    for row, column in np.ndindex(2, 2):
        assert alike(grid.picture(row, column), drawn(seed=(3, 4)[row], guidance=(1, 6.5)[column]))
    sheet = grid.save("png", tmp_path / "grid.png")
    assert sheet.width > 2 * 160 and sheet.height > 2 * 160
    use = grid.page.locator("#draw-grid-use")
    expect(use).to_be_hidden()
    grid.cells.nth(3).click()
    expect(grid.page.locator("#draw-grid dialog .title")).to_have_text("guidance 6.5, seed 4")
    grid.page.keyboard.press("Escape")
    expect(use).to_have_text("Use the settings of seed 4, guidance 6.5")
    use.click()
    draw.wait_for_value("seed", "4")
    draw.wait_for_value("guidance", "6.5")


def test_prompts_and_schedulers_are_axes_too_and_an_axis_may_be_nothing(draw, fold):
    draw.fill(prompt="a {} circle")
    grid = fold("grid")
    grid.axes("Prompt", "red; blue", "Scheduler", None)
    suggested = grid.page.locator("#draw-grid-column-values textarea").input_value().split(", ")
    assert len(suggested) >= 2
    assert f"drew {2 * len(suggested)} pictures" in grid.run()
    assert (grid.labels("tbody"), grid.labels("thead")) == (["red", "blue"], suggested)
    assert alike(grid.picture(1, 1), drawn("a blue circle", scheduler=suggested[1]))
    grid.choose("row", "Nothing")
    expect(grid.page.locator("#draw-grid-row-values")).to_be_hidden()
    grid.choose("column", "Steps")
    grid.fill("column-values", "1, 3")
    assert "drew 2 pictures" in grid.run()
    assert alike(grid.picture(0, 1), drawn("a {} circle", steps=3))


def test_a_grid_streams_in_and_stop_keeps_what_is_there(fold, monkeypatch):
    monkeypatch.setattr(diffusion_batch, "AT_ONCE", 1)
    original, calls, three = diffusion_batch._draw, [], threading.Event()

    def patient(painter, batch, texts, stop, report):
        calls.append(batch)
        if len(calls) == 4:
            three.set()
            assert stop.wait(60)
        return original(painter, batch, texts, stop, report)

    monkeypatch.setattr(diffusion_batch, "_draw", patient)
    grid = fold("grid")
    grid.axes("Seed", "0, 1", "Guidance", "1, 2")
    with grid.finished():
        grid.press()
        expect(grid.cells).to_have_count(2, timeout=60_000)
        expect(grid.page.locator("#draw-grid .count")).to_have_text("2 of 4 pictures")
        assert three.wait(60)  # the third is there, though not yet on the page
        grid.press("stop")
    expect(grid.status).to_have_text("Stopped: 3 of 4 pictures are there, and stay.")
    expect(grid.cells).to_have_count(3)


def test_early_steps_of_a_long_drawing_stand_above_short_drawings(fold, monkeypatch):
    monkeypatch.setattr(drawing_early, "WHOLE", 4)
    monkeypatch.setattr(drawing_early, "COUNTS", (2, 4))
    grid = fold("grid")
    assert "drew 4 pictures" in grid.run("early")
    assert grid.labels("thead") == ["2", "4"] and grid.labels("tbody") == list(draw_grids.EARLY_ROWS)
    assert not alike(grid.picture(0, 0), grid.picture(1, 0)), "step 2 of 4 is not a drawing in 2 steps"
    assert np.array_equal(grid.picture(0, 1), grid.picture(1, 1)) and alike(grid.picture(1, 0), drawn())
    expect(grid.page.locator("#draw-grid .note")).to_contain_text("Above: the clean picture that the network expects")


def test_grids_that_cannot_be_drawn_are_one_sentence_and_nothing_is_lost(draw, fold):
    grid = fold("grid")
    grid.axes("Seed", "0", "Guidance", "2, 3")
    grid.run()
    for row, sentence in (
        ("many", "'many' is no number"),
        ("", "The axis seed has no values yet"),
        (", ".join(map(str, range(1000))), "1,000 x 2 are 2,000"),
        ("-1", "seed must be a whole number"),
    ):
        grid.fill("row-values", row)
        assert sentence in grid.run()
    assert "'many' is no number" not in draw.toast() and grid.cells.count() == 2


# Between


def test_between_two_prompts_the_ends_are_the_packages_own_and_a_gif_goes_back(fold, tmp_path):
    between = fold("between")
    between.fill("prompt", OTHER)
    between.fill("count", 3)
    assert "drew 3 pictures" in between.run()
    assert between.labels("thead") == ["0 %", "50 %", "100 %"]
    assert alike(between.picture(0, 0), drawn()) and alike(between.picture(0, 2), drawn(OTHER))
    assert not alike(between.picture(0, 1), drawn()) and not alike(between.picture(0, 1), drawn(OTHER))
    gif = between.save("gif", tmp_path / "between.gif")
    assert (gif.format, gif.n_frames) == ("GIF", 4)
    between.fill("prompt", PROMPT)
    assert "Both ends are the same" in between.run() and between.cells.count() == 3


def test_between_two_seeds_the_last_one_is_the_other_seeds(fold):
    between = fold("between")
    between.page.get_by_label("Another seed").click()
    expect(between.page.locator("#draw-between-prompt")).to_be_hidden()
    between.fill("seed", 5)
    between.fill("count", 2)
    assert "drew 2 pictures" in between.run()
    assert alike(between.picture(0, 0), drawn()) and alike(between.picture(0, 1), drawn(seed=5))
    expect(between.page.locator("#draw-between .axes")).to_contain_text("way to the other seed")


# A word


def test_a_changed_word_is_drawn_with_the_same_seed_and_the_difference_is_theirs(draw, fold):
    change = fold("change")
    assert "There is no picture yet" in change.run()
    draw.draw(seed=3)
    change.choose("word", "red")
    change.fill("other", "green")
    assert "of the pixels differ by more than" in change.run()
    before, after = drawn(seed=3), drawn(PROMPT.replace("red", "green"), seed=3)
    assert np.array_equal(change.picture(0, 0), before) and np.array_equal(change.picture(0, 1), after)
    levels = np.abs(before - after).mean(axis=-1)
    assert np.abs(change.picture(0, 2)[..., 0] - levels / levels.max() * 255).max() <= 1
    assert change.labels("thead")[2] == f"difference, white is {levels.max() / 255:.0%}"
    change.fill("other", "RED")
    assert "the word that is there already" in change.run() and change.cells.count() == 3


# Scores


def test_scores_are_the_packages_own_beside_a_twin_and_leave_with_the_picture(draw, fold):
    scores = fold("scores")
    assert "There is no picture yet" in scores.run()
    panel = scores.page.locator("#draw-scores")
    draw.draw(steps=20, seed=2)
    *_, last = mmexplorer.draw(PROMPT, steps=20, seed=2)
    found = drawing_scores.score(last.drawing)
    assert scores.run() == "Scored by Toy CLIP, full coverage."
    rows = panel.locator("table").first.locator("tbody tr").all_inner_texts()
    for row, one in zip(rows, (found.prompt, found.twin), strict=True):
        assert one.caption in row and f"{one.score:.2f}" in row and f"{one.cosine:.3f}" in row
    assert found.twin.caption == "a blue circle to the left of a red square"
    grade = panel.locator("table").nth(1).locator("tbody tr").all_inner_texts()
    said = {True: "✓ yes", False: "✗ no"}
    assert [row.split("\t") for row in grade] == [[line, said[true]] for line, true in found.grade.lines]
    scores.choose("clip", "Toy CLIP, swaps withheld")
    assert scores.run() == "Scored by Toy CLIP, swaps withheld."
    draw.draw(steps=2)
    expect(panel).to_contain_text("Score the picture above")


# The program


def test_the_program_on_the_page_draws_the_same_picture(draw, tmp_path, monkeypatch):
    draw.draw(prompt='a "red" circle, it\'s', negative="blue", seed=9, steps=3, guidance=2)
    draw.page.get_by_role("button", name="The same in Python").last.click()
    code = draw.page.locator("#draw-code .cm-content")
    expect(code).to_contain_text("seed=9")
    monkeypatch.chdir(tmp_path)
    exec(compile(code.inner_text().replace("\u200b", ""), "page", "exec"), {})
    data = draw.image().split(",")[1]
    with Image.open("drawing.png") as saved, Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert np.array_equal(np.asarray(saved.convert("RGB")), np.asarray(shown.convert("RGB")))


# How all of that looks


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_fold_fits_its_screen_and_is_readable(visit, address, draw_tab, width, theme):
    FOLDER.mkdir(exist_ok=True)
    draw = draw_tab(visit(f"{address}/?tab=draw&__theme={theme}", width, 900))
    draw.draw(prompt=PROMPT, steps=2)
    folds = {name: Fold(draw, name) for name in ("grid", "between", "change", "scores")}
    draw.page.locator("#draw-way > button").first.click()
    assert draw.page.evaluate(FAINT) == []
    folds["change"].fill("other", "green")
    for one in folds.values():
        one.run()
    assert draw.page.evaluate("document.documentElement.scrollWidth") <= width
    assert draw.page.evaluate(FAINT) == []
    draw.page.screenshot(path=FOLDER / f"draw-folds-{width}-{theme}.png", full_page=True)
