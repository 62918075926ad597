"""The embedding tab in a real Chromium: the whole of it, as a visitor uses it."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

import mmexplorer
from mmexplorer import residency
from mmexplorer.explore import experiments
from mmexplorer.explore.experiments import ASSETS

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = [pytest.mark.browser, pytest.mark.slow]


class EmbeddingSpace:
    """The tab on a page, as a visitor handles it."""

    def __init__(self, page):
        self.page = page
        self.status, self.map = page.locator("#es-status .mmx-status"), page.locator("#es-map")
        self.gallery = page.locator("#es-gallery")

    def says(self, text: str) -> None:
        expect(self.status).to_contain_text(text, timeout=60_000)

    def fold(self, title: str) -> None:
        self.page.locator("button.label-wrap", has_text=title).click()

    def search(self, words: str) -> None:
        self.page.locator("#es-words").get_by_role("textbox").fill(words)
        self.page.locator("#es-search").click()

    def cards(self) -> list[str]:
        return self.gallery.locator(".card").evaluate_all("cards => cards.map(card => card.textContent)")

    def open(self, files) -> None:
        self.page.get_by_role("tab", name="My pictures").click()
        self.page.locator("#es-files input[type=file]").set_input_files([str(file) for file in files])
        self.page.locator("#es-files .file").nth(len(files) - 1).wait_for()
        self.page.locator("#es-open").click()

    def press(self, across: float, down: float) -> None:
        """A click in the map, at a share of its width and height."""
        box = self.map.locator("canvas.over").bounding_box()
        self.page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])


@pytest.fixture
def space(visit, address):
    """The tab freshly opened, with the toy world's map."""
    residency.evict()
    tab = EmbeddingSpace(visit(f"{address}/?tab=embedding-space", height=1000))
    tab.says("Toy world: 2,400 pictures and 2,400 captions")
    expect(tab.map).to_contain_text("2,400 pictures and 2,400 captions shown")
    return tab


def test_the_map_is_there_before_any_model(space):
    assert residency.loaded() == []
    expect(space.gallery).to_contain_text("Press a point of the map")
    expect(space.page.locator("#mm-memory summary")).to_have_text("No model in memory yet")
    space.page.reload()
    space.says("Toy world")


def test_search_lights_the_map_and_ranks_pictures(space):
    space.search("a red circle")
    space.says("12 found")
    expect(space.gallery).to_contain_text("Nearest to “a red circle”")
    expect(space.map).to_contain_text("12 lit")
    expected = mmexplorer.Collection.open("toy-world").search("a red circle", k=12)
    names = mmexplorer.Collection.open("toy-world").table["name"].take(expected.indices[0]).to_pylist()
    assert len(space.cards()) == 12
    for said, name, cosine in zip(space.cards(), names, expected.cosines[0], strict=True):
        assert name in said and f"{cosine:.3f}" in said
    # A card leads to its own neighbours
    space.gallery.locator(".card").nth(1).click()
    expect(space.gallery).to_contain_text("The 12 nearest pictures")
    expect(space.gallery).to_contain_text(names[1])


def test_search_without_something_and_by_picture(space, tmp_path):
    space.fold("Search by picture, or without something")
    space.page.locator("#es-minus").get_by_role("textbox").fill("red")
    space.search("a circle")
    expect(space.gallery).to_contain_text("Nearest to “a circle” − “red”", timeout=30_000)
    picture = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(picture).ellipse((20, 20, 76, 76), fill="blue")
    picture.save(tmp_path / "dot.png")
    space.page.locator("#es-minus").get_by_role("textbox").fill("")
    space.page.locator("#es-picture input[type=file]").set_input_files(str(tmp_path / "dot.png"))
    space.page.locator("#es-picture img").wait_for()
    space.search("")
    expect(space.gallery).to_contain_text("Nearest to the picture", timeout=30_000)
    assert sum("blue" in said for said in space.cards()) >= 8


def test_a_search_for_nothing_is_told_so(space):
    space.search("  ")
    space.says("Type some words, or choose a picture to search by.")


def test_a_click_on_a_point_shows_it_and_its_neighbours(space):
    space.map.locator("[role=application], [tabindex='0']").first.focus()
    space.page.keyboard.press("Enter")  # the point nearest to the middle
    expect(space.gallery).to_contain_text("The 12 nearest pictures")
    expect(space.gallery).to_contain_text("cosine of picture and caption")
    expect(space.map).to_contain_text("lit")


def test_a_region_can_be_exported_and_sent_on(space, tmp_path):
    space.map.locator("[data-choice=mode] label", has_text="box").click()
    box = space.map.locator("canvas.over").bounding_box()
    left, top = box["x"] + 0.25 * box["width"], box["y"] + 0.3 * box["height"]
    space.page.mouse.move(left, top)
    space.page.mouse.down()
    space.page.mouse.move(left + 0.35 * box["width"], top + 0.4 * box["height"], steps=6)
    space.page.mouse.up()
    expect(space.gallery).to_contain_text("Chosen:")
    for button, name in (("#es-csv", "selection.csv"), ("#es-parquet", "selection.parquet")):
        with space.page.expect_download() as download:
            space.page.locator(button).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "selection.parquet")
    lengths = np.linalg.norm(np.array(table["vector"].to_pylist()), axis=1)
    assert len(table) > 10 and lengths == pytest.approx(1, abs=1e-4)
    space.page.locator("#es-send").click()
    expect(space.page.locator("#zs-run")).to_be_visible()
    space.page.locator("#zs-files .file").first.wait_for()
    space.page.locator("#zs-run").click()
    expect(space.page.locator("#zs-scores .filled")).to_be_visible(timeout=60_000)


def test_own_pictures_with_a_table(space, tmp_path):
    random = np.random.default_rng(1)
    for number in range(5):
        noise = random.integers(0, 256, (40 + number, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "1.png").read_bytes()[:300])
    rows = "".join(f"{n}.png,noise number {n},{'odd' if n % 2 else 'even'}\n" for n in range(5))
    (tmp_path / "list.csv").write_text(f"image,caption,parity\n{rows}broken.png,a broken one,odd\n", encoding="utf-8")
    space.open([*sorted(tmp_path.glob("*.png")), tmp_path / "list.csv"])
    space.says("list: 5 pictures and 5 captions")
    space.says("Left out: broken.png")
    expect(space.map).to_contain_text("parity")
    expect(space.map).to_contain_text("even")
    space.search("noise number 3")
    space.says("5 found")


def test_a_wrong_file_leaves_the_map_as_it_was(space, tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 nothing")
    space.open([tmp_path / "bad.zip"])
    space.says("bad.zip")
    expect(space.map).to_contain_text("2,400 pictures and 2,400 captions shown")
    space.search("a red circle")
    space.says("12 found")


def test_layout_clusters_and_three_dimensions(space):
    space.fold("Layout")
    space.page.get_by_label("3-D").click()
    expect(space.map.locator("[data-choice=mode]")).to_be_hidden(timeout=30_000)  # nothing to draw around
    space.page.get_by_label("2-D").click()
    expect(space.map.locator("[data-choice=mode]")).to_be_visible(timeout=30_000)
    space.page.locator("#es-centred input").check()
    space.page.locator("#es-again").click()
    space.says("UMAP")
    space.fold("Clusters")
    space.page.locator("#es-cluster").click()
    space.says("12 clusters of pictures")


def test_the_measures_appear_when_they_are_unfolded(space):
    space.fold("The space, measured")
    expect(space.page.locator("#es-measure-status")).to_contain_text("2,400 pictures and 2,400 pairs", timeout=90_000)
    expect(space.page.locator("#es-chart-gap .slide, #es-chart-gap input[type=range]").first).to_be_visible()
    expect(space.page.locator("#es-hubs")).to_contain_text("The worst hubs")
    space.fold("All numbers")
    expect(space.page.locator("#es-numbers")).to_contain_text("distance of the centroids")


def test_two_models_are_measured_side_by_side(space):
    space.fold("The space, measured")
    status = space.page.locator("#es-measure-status")
    expect(status).to_contain_text("2,400 pairs", timeout=90_000)
    space.page.get_by_label("Beside").click()
    space.page.get_by_role("option", name="Toy CLIP, swaps withheld").click()
    space.page.locator("#es-measure").click()
    expect(status).to_contain_text("Measuring", timeout=20_000)
    expect(status).to_contain_text("2,400 pairs", timeout=120_000)
    space.fold("All numbers")
    expect(space.page.locator("#es-numbers")).to_contain_text("Toy CLIP, swaps withheld")


@pytest.mark.parametrize("number", range(len(experiments.cards("embedding_space"))))
def test_a_card_sets_the_controls_it_names(space, number):
    card = experiments.cards("embedding_space")[number]
    space.page.locator("#es-card").get_by_label("Experiment").click()
    space.page.get_by_role("option", name=card.title).click()
    expect(space.page.locator("#es-brief")).to_contain_text("Predict.")
    if card.settings.get("words"):
        expect(space.page.locator("#es-words").get_by_role("textbox")).to_have_value(card.settings["words"])


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "light"), (1280, "dark"), (390, "dark")])
def test_nothing_sticks_out(visit, address, width, theme, tmp_path):
    page = visit(f"{address}/?tab=embedding-space&__theme={theme}", width=width, height=900)
    tab = EmbeddingSpace(page)
    tab.says("Toy world")
    tab.search("a green star")
    tab.says("12 found")
    page.screenshot(path=tmp_path / f"embedding-space-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.map.locator("canvas.over").bounding_box()["height"] >= 320


def test_a_local_folder_is_refused_to_visitors_from_elsewhere(space):
    """The page under test is built as one that is served to others."""
    assert not space.page.get_by_role("tab", name="Folder or dataset").count()
    space.page.get_by_role("tab", name="Dataset").click()
    space.page.locator("#es-path").get_by_role("textbox").fill(str(ASSETS / "images"))
    space.page.locator("#es-open").click()
    space.says("not open to visitors")


def test_the_endpoints_answer_as_the_functions_do(address):
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False)
    picture = ASSETS / "images" / "zero_shot" / "purple-circle.png"
    said = client.predict([handle_file(picture)], ["a purple circle"], "toy-clip", api_name="/embed")
    assert np.array(said["images"]) == pytest.approx(mmexplorer.embed_images(picture), abs=1e-5)
    assert np.array(said["texts"]) == pytest.approx(mmexplorer.embed_texts("a purple circle"), abs=1e-5)
    rows = np.random.default_rng(0).normal(size=(30, 5))
    said = client.predict(rows.tolist(), "pca", 2, 0, 15, 0.1, "cosine", api_name="/project")
    assert np.array(said["coordinates"]) == pytest.approx(mmexplorer.project(rows, method="pca").coordinates, abs=1e-5)
    said = client.predict("two stars", "", None, None, "toy-clip", 5, "pictures", api_name="/search")
    expected = mmexplorer.Collection.open("toy-world").search("two stars", k=5)
    assert [found["point"] for found in said] == expected.indices[0].tolist()
    for endpoint, arguments, reason in (
        ("/project", ([[1, 2], [3]], "pca", 2, 0, 15, 0.1, "cosine"), "rows of numbers"),
        ("/project", ([[1, 2], [3, 4]], "magic", 2, 0, 15, 0.1, "cosine"), "no layout 'magic'"),
        ("/embed", ([], [], "toy-clip"), "nothing to embed"),
        ("/search", ("", "", None, None, "toy-clip", 5, "pictures"), "Type some words"),
    ):
        with pytest.raises(Exception, match=reason):
            client.predict(*arguments, api_name=endpoint)
    assert json.dumps(client.view_api(return_format="dict")["named_endpoints"]).count("/") >= 5
