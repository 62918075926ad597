"""What one visitor of the embedding tab has on the page, where its thumbnails lie, and how its jobs are stopped."""

import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder

from mmexplorer.explore.collection import Collection
from mmexplorer.explore.layouts import Layout
from mmexplorer.results import Projection
from mmexplorer.tabs.jobs import Jobs

FOLDER = "collection-"
DAY = 24 * 3600  # seconds

JOBS = Jobs()


@dataclass(frozen=True)
class Shown:
    """The collection, its layout and its clusters as they are on the page; folder is the visitor's own, if any."""

    collection: Collection
    layout: Layout
    projection: Projection
    groups: np.ndarray | None = None
    group_names: tuple[str, ...] = ()
    folder: Path | None = None


def new_folder() -> Path:
    """A folder for a visitor's thumbnails, beside the uploads, from where the server hands files to whoever knows."""
    root = Path(get_upload_folder())
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"{FOLDER}*"):  # by an app that was ended
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > DAY:
                remove(left)
    return Path(tempfile.mkdtemp(prefix=FOLDER, dir=root))


def forget(shown: Shown | None) -> None:
    """Deletes what was written for a visitor."""
    if shown is not None:
        remove(shown.folder)


def remove(folder: Path | None) -> None:
    """Deletes a visitor's folder, if there is one."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def stop_of(request: gr.Request) -> None:
    """Stops the visitor's running job, which then ends with what it has."""
    JOBS.stop(request.session_hash)
