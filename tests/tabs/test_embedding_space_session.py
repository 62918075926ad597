"""A visitor's own things in the embedding tab: the folder of thumbnails."""

import os
import time
from pathlib import Path

from gradio.utils import get_upload_folder

from mmexplorer.tabs import embedding_space_session as session


def test_thumbnails_lie_where_the_server_may_hand_them_out_and_are_deleted_with_the_session():
    folder = session.new_folder()
    (folder / "thumbnails-000.webp").write_bytes(b"x")
    assert str(folder).startswith(get_upload_folder())
    session.forget(session.Shown(None, None, None, folder=folder))
    assert not folder.exists()
    session.forget(None)
    session.forget(session.Shown(None, None, None))


def test_folders_that_an_app_left_are_deleted_after_a_day():
    root = Path(get_upload_folder())
    old, young = root / f"{session.FOLDER}old", root / f"{session.FOLDER}young"
    for path, age in ((old, session.DAY + 60), (young, 60)):
        path.mkdir(parents=True)
        os.utime(path, (time.time() - age,) * 2)
    fresh = session.new_folder()
    assert not old.exists() and young.exists() and fresh.exists()
    for path in (young, fresh):
        path.rmdir()
