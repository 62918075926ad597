"""The lists of models: what they say, and models that are named by a folder."""

import shutil

import pytest

import mmexplorer
from mmexplorer import presets
from mmexplorer.presets import ROOT, preset

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = pytest.mark.browser
PICTURE = ROOT / "assets" / "images" / "chat" / "red-circle-blue-square.png"


@pytest.fixture(scope="module")
def own_address():
    """The page as it is served to its own machine, where visitors may name folders."""
    from mmexplorer.tabs import server, shell

    page = shell.build(local=True)
    server.launch(page, "127.0.0.1", None)
    yield page.local_url.rstrip("/")
    page.close(verbose=False)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test names is gone after it from the table, but not from memory."""
    monkeypatch.setattr(presets, "_others", {})


def named(page, name: str) -> None:
    """Writes a name into the zero-shot tab's list of models, which has the toy in it."""
    box = page.locator("#zs-models input")
    box.fill(name)
    box.press("Enter")


def test_a_real_model_shows_its_size_before_anything_is_fetched(tab):
    tab.choose("Models", "SigLIP ViT-B/16")
    about = tab.page.locator("#zs-about")
    for words in ("816 MB", "Apache-2.0", "Memory while it works: 975 MB in 32 bits.", "Zhai et al. 2023"):
        expect(about).to_contain_text(words)


def test_a_folder_is_named_and_answers_as_the_checkpoint_in_it(visit, own_address, zero_shot_tab, tmp_path):
    folder = shutil.copytree(preset("toy-clip-withheld").path, tmp_path / "mine")
    tab = zero_shot_tab(visit(f"{own_address}/?tab=zero-shot"))
    tab.page.locator("#zs-models").get_by_role("button", name="Remove").first.click()
    named(tab.page, str(folder))
    expect(tab.page.locator("#zs-about")).to_contain_text("mine: Named by a visitor")
    tab.upload(PICTURE)
    tab.labels("a red circle and a blue square\na blue circle and a red square")
    tab.classify()
    expected = mmexplorer.classify(PICTURE, tab.typed(), model="toy-clip-withheld")
    for label, probability in zip(expected.labels, expected.probabilities[0], strict=True):
        assert tab.shown()[label] == pytest.approx(float(probability), abs=1e-5)


def test_what_is_nowhere_is_said_and_the_page_stays_usable(visit, own_address, zero_shot_tab, tmp_path):
    tab = zero_shot_tab(visit(f"{own_address}/?tab=zero-shot"))
    named(tab.page, str(tmp_path / "nowhere"))
    expect(tab.page.locator("#zs-about")).to_contain_text("There is no folder")
    named(tab.page, "toyclip")
    tab.page.locator("#zs-models").get_by_role("button", name="Remove").last.click()
    tab.page.locator("#zs-models").get_by_role("button", name="Remove").last.click()
    expect(tab.page.locator("#zs-about")).to_contain_text("Trained here on drawn shapes")


def test_a_model_of_another_tab_is_refused_where_it_is_of_no_use(visit, own_address, chat_tab):
    chat = chat_tab(visit(f"{own_address}/?tab=chat"))
    box = chat.page.locator("#chat-model input")
    box.fill(str(preset("toy-clip").path))
    box.press("Enter")
    expect(chat.page.locator("#chat-about")).to_contain_text("does not chat; choose toy-llava")


def test_a_public_page_takes_no_other_models(tab, tmp_path):
    named(tab.page, str(preset("toy-clip-withheld").path))
    tab.page.wait_for_timeout(500)
    assert tab.page.locator("#zs-models").get_by_role("button", name="Remove").count() == 1
    assert not presets._others
