"""Data sets of the Hugging Face Hub: rows and files as the real library streams them, kept once, and every fault."""

import errno
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import datasets_source
from mmexplorer.explore.picture_sources import list_pictures, open_location
from mmexplorer.hub import Stopped

datasets = pytest.importorskip("datasets")

_spec = importlib.util.spec_from_file_location("dataset_stand_in", Path(__file__).with_name("dataset_stand_in.py"))
stand_in = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stand_in)

Info = namedtuple("Info", "sha private gated")
ROOT = Path(__file__).resolve().parents[2]
SIZES = {"red": (8, 4), "lime": (4, 8), "blue": (6, 6)}
FEATURES = datasets.Features(
    {
        "boxes": datasets.List(datasets.Value("float32")),
        "picture": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog"]),
        "text": datasets.List(datasets.Value("string")),
        "n": datasets.Value("uint8"),
    }
)


def png(colour) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", SIZES[colour], colour).save(file, "PNG")
    return file.getvalue()


def save_rows(file: Path, *pictures: dict | None) -> None:
    """Writes what the library would, but leaves paths as they are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    count = len(pictures)
    columns = {"boxes": [[1.0]] * count, "picture": pictures, "label": [1, 0, None, 1][:count]}
    columns |= {"text": [["a", "b"], [], None, None][:count], "n": [1, None, 3, 4][:count]}
    pq.write_table(pa.Table.from_pydict(columns, FEATURES.arrow_schema), file)


def picture(colour, path=None) -> dict:
    return {"bytes": png(colour), "path": path}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """Three rows of "train" and one of "test", as Parquet."""
    folder = tmp_path_factory.mktemp("repository")
    train = (picture("red", "a.png"), picture("lime"), picture("blue", "a.png"))
    save_rows(folder / "data/train-00000-of-00001.parquet", *train)
    save_rows(folder / "data/test-00000-of-00001.parquet", picture("blue"))
    return folder


@pytest.fixture(autouse=True)
def online(monkeypatch, tmp_path):
    monkeypatch.setenv("MMEXPLORER_CACHE", str(tmp_path / "cache"))
    for name in ("MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def local(monkeypatch, repository):
    """Resolves every name to a folder on this disk; a test may change which."""
    resolved = {"path": repository, "revision": "1" * 40, "closed": False, "asked": 0}

    def resolve(name, token):
        resolved["asked"] += 1
        return str(resolved["path"]), resolved["revision"], resolved["closed"]

    monkeypatch.setattr(datasets_source, "_resolve", resolve)
    return resolved


def colours(listing) -> list[str]:
    by_size = {size: colour for colour, size in SIZES.items()}
    return [by_size[open_location(location).size] for location in listing.locations]


def listed(source="hf:someone/pets", local=False, **options):
    return list_pictures(source, local=local, **options)


def refused(source="hf:someone/pets", **options) -> str:
    with pytest.raises(Refusal) as caught:
        listed(source, **options)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_of_the_split_train(local):
    listing = listed()
    assert listing.table.to_pydict() == {
        "name": ["a.png", "row 2", "a.png (2)"],
        "caption": ["a", None, None],
        "label": ["dog", "cat", None],
        "n": [1, None, 3],
    }
    assert colours(listing) == ["red", "lime", "blue"]
    assert listing.name == "someone/pets"
    assert [remark.split(":")[0] for remark in listing.remarks] == [
        "boxes was left out",
        "This is the split train; someone/pets also has test.",
    ]


def test_another_split(local):
    listing = listed("hf:someone/pets:test")
    assert colours(listing) == ["blue"]
    assert refused("hf:someone/pets:dev") == "someone/pets has no split dev; leave it out to take the first."


def test_what_was_fetched_once_is_kept(local, monkeypatch):
    first = listed()
    monkeypatch.setattr(datasets, "load_dataset", None)
    second = listed()
    assert second.table.equals(first.table)
    assert (second.locations, second.remarks) == (first.locations, first.remarks)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert listed().locations == first.locations
    assert local["asked"] == 2
    sentence = "someone/others is not on this disk and the app is offline; upload pictures instead."
    assert refused("hf:someone/others") == sentence


def test_a_new_revision_is_fetched(local, tmp_path):
    listed()
    save_rows(tmp_path / "new/train.parquet", picture("lime"))
    local.update(path=tmp_path / "new", revision="2" * 40)
    assert colours(listed()) == ["lime"]


@pytest.mark.parametrize("damaged", ["first-20000.json", "first-20000.parquet"])
def test_a_damaged_listing_is_fetched_anew(local, tmp_path, damaged):
    first = listed()
    (file,) = (tmp_path / "cache").rglob(damaged)
    file.write_bytes(b"{}")
    again = listed()
    assert again.table.equals(first.table) and colours(again) == ["red", "lime", "blue"]


def test_a_limit_is_kept_and_said(local):
    listing = listed(limit=2)
    assert colours(listing) == ["red", "lime"]
    assert "Only the first 2 rows are listed." in listing.remarks
    assert not any(remark.startswith("Only") for remark in listed(limit=3).remarks)


def test_fetching_can_be_stopped_and_goes_on(local, tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        listed(stop=stop)
    assert not list((tmp_path / "cache").rglob("*.json"))
    stop.clear()
    assert colours(listed(stop=stop)) == ["red", "lime", "blue"]


def test_rows_without_a_picture_of_the_data_set_are_skipped(local, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png("red"))
    save_rows(tmp_path / "set/train.parquet", {"bytes": None, "path": str(secret)}, None, picture("lime"))
    local["path"] = tmp_path / "set"
    listing = listed()
    assert colours(listing) == ["lime"]
    assert [(one.name, one.reason) for one in listing.skipped] == [
        ("secret.png", "holds no picture"),
        ("row 2", "holds no picture"),
    ]


def test_a_data_set_without_pictures(local, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train.jsonl").write_text('{"text": "a", "n": 1}\n')
    local["path"] = tmp_path / "set"
    assert refused() == "someone/pets has no column of pictures; its columns are text and n."


def test_a_data_set_that_is_damaged(local, tmp_path, repository):
    shutil.copytree(repository, tmp_path / "set")
    file = tmp_path / "set/data/train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:300])
    local["path"] = tmp_path / "set"
    assert refused().startswith("someone/pets cannot be read as a data set of pictures (")


def test_a_full_disk(local, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2, 1, 999_999_999))
    assert refused() == "There is no room on the disk to keep the pictures of someone/pets."


def test_more_than_the_cache_should_hold(local, monkeypatch):
    monkeypatch.setattr(datasets_source, "MAX_DATASET_BYTES", 10)
    listing = listed()
    assert colours(listing) == ["red"]
    assert "Only the first 1 rows are listed." in listing.remarks


def test_without_the_package(local, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refused() == "Data sets of the Hub need the package datasets; install it by: pip install datasets."


@pytest.mark.parametrize(
    "name", ["", "pets", "/etc/passwd", "../pets", "a/b/c", "a/b:", "a/b:train[:10]", "a/b c", "csv", "https://a.org/b"]
)
def test_what_is_no_name_is_not_looked_for(local, name):
    assert "is no data set; write its name as owner/name or owner/name:split." in refused(f"hf:{name}")
    assert local["asked"] == 0


def test_a_folder_of_this_machine_is_not_a_data_set(monkeypatch, repository):
    """The name is resolved for real here, up to the request."""
    from huggingface_hub import HfApi

    (repository.parent / "someone").mkdir(exist_ok=True)
    shutil.copytree(repository, repository.parent / "someone/pets")
    monkeypatch.chdir(repository.parent)
    assert next(iter(datasets.load_dataset("someone/pets", split="train", streaming=True)))["n"] == 1
    monkeypatch.setattr(HfApi, "dataset_info", lambda *_, **__: Info("main", False, False))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    assert refused().startswith("The Hub could not be reached for someone/pets")


@pytest.mark.parametrize(("space", "local", "token"), [("spaces", True, False), ("", False, False), ("", True, None)])
def test_visitors_do_not_see_what_the_owner_of_the_machine_may(monkeypatch, space, local, token):
    from huggingface_hub import HfApi

    monkeypatch.setenv("SYSTEM", space)
    tokens = []

    def answer(api, *_, **__):
        tokens.append(api.token)
        return Info("1" * 40, False, False)

    def load(path, **options):
        tokens.append(options["token"])
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(HfApi, "dataset_info", answer)
    monkeypatch.setattr(datasets, "load_dataset", load)
    refused(local=local)
    assert tokens == [token, token]


def test_what_only_the_owner_may_see_is_kept_apart(local, monkeypatch):
    local["closed"] = True
    assert colours(listed(local=True)) == ["red", "lime", "blue"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert colours(listed(local=True)) == ["red", "lime", "blue"]
    assert refused() == "someone/pets is not on this disk and the app is offline; upload pictures instead."


VISIT = """
import json, sys
from mmexplorer.errors import Refusal
from mmexplorer.explore.picture_sources import list_pictures, open_location

said = {}
for name in sys.argv[1:]:
    try:
        listing = list_pictures("hf:" + name, local=False)
        sizes = [open_location(location).size for location in listing.locations]
        said[name] = [listing.table.to_pydict(), sizes, [one.name for one in listing.skipped]]
    except Refusal as refusal:
        said[name] = str(refusal)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def visited(tmp_path_factory, repository) -> dict:
    """What a fresh process lists of repositories on a Hub, and then of a Hub that is gone."""
    home = tmp_path_factory.mktemp("hub")
    folders = home / "folders"
    for label, colour in (("cat", "red"), ("dog", "lime")):
        (folders / label).mkdir(parents=True)
        (folders / label / "1.png").write_bytes(png(colour))
    pointers = [f"hf://datasets/someone/folders@{stand_in.REVISION}/cat/1.png", str(folders / "cat/1.png")]
    pointers.append(f"file://{folders}/cat/1.png::hf://datasets/someone/foreign@{stand_in.REVISION}/train.parquet")
    pictures = [{"bytes": None, "path": path} for path in pointers] + [picture("blue")]
    save_rows(home / "foreign/train.parquet", *pictures)
    shutil.make_archive(str(home / "zipped/train"), "zip", folders)
    (home / "zipped/README.md").write_text("---\nconfigs:\n- config_name: default\n  drop_labels: true\n---\n")
    repositories = {"someone/rows": repository, "someone/folders": folders, "someone/foreign": home / "foreign"}
    repositories["someone/zipped"] = home / "zipped"
    environment = os.environ | {"HF_HOME": str(home / "hf"), "MMEXPLORER_CACHE": str(home / "cache")}
    environment |= {"HF_UPDATE_DOWNLOAD_COUNTS": "0", "HF_HUB_ETAG_TIMEOUT": "2"}
    for name in ("MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        environment.pop(name, None)

    def visit(*names, **more) -> dict:
        run = [sys.executable, "-c", VISIT, *names]
        output = subprocess.run(run, env=environment | more, cwd=ROOT, capture_output=True, text=True)
        assert output.returncode == 0, output.stderr
        return json.loads(output.stdout)

    errors = {"someone/broken": 500, "someone/private": 401}
    with stand_in.serving(repositories, errors) as address:
        said = visit(*repositories, *errors, "someone/else", HF_ENDPOINT=address)
    said["gone"] = visit("someone/rows", HF_ENDPOINT=address)["someone/rows"]
    said["no name server"] = visit("someone/rows", HF_ENDPOINT="http://hub.invalid")["someone/rows"]
    said["offline"] = visit("someone/rows", HF_HUB_OFFLINE="1")["someone/rows"]
    return said


def test_parquet_on_a_hub(visited):
    table, sizes, skipped = visited["someone/rows"]
    assert table["name"] == ["a.png", "row 2", "a.png (2)"]
    assert table["label"] == ["dog", "cat", None]
    assert sizes == [[8, 4], [4, 8], [6, 6]] and skipped == []


def test_picture_files_on_a_hub(visited):
    table, sizes, skipped = visited["someone/folders"]
    found = dict(zip(table["label"], sizes, strict=True))
    assert found == {"cat": [8, 4], "dog": [4, 8]} and skipped == []
    assert table["name"] == ["1.png", "1.png (2)"]


def test_picture_files_in_an_archive_on_a_hub(visited):
    table, sizes, skipped = visited["someone/zipped"]
    assert sorted(sizes) == [[4, 8], [8, 4]] and skipped == []
    assert table["name"] == ["1.png", "1.png (2)"]


def test_files_outside_the_repository_are_not_followed(visited):
    table, sizes, skipped = visited["someone/foreign"]
    assert (table["name"], sizes, skipped) == (["row 4"], [[6, 6]], ["1.png"] * 3)


def test_faults_of_a_hub(visited):
    for name in ("someone/private", "someone/else"):
        assert visited[name] == f"{name} was not found on the Hub; it may be misspelt, private or removed."
    assert visited["someone/broken"] == (
        "The Hub answered with error 500 when asked for someone/broken; try again later."
    )
    for way in ("gone", "no name server"):
        assert visited[way] == "The Hub could not be reached for someone/rows; check the network and try again."


def test_offline_what_was_kept_is_listed(visited):
    assert visited["offline"] == visited["someone/rows"]
