"""Sessions of visitors who are gone: dropped with what their states held, and no sooner than they may come back."""

from datetime import datetime, timedelta

import gradio as gr
import pytest
from gradio.state_holder import StateHolder

from mmexplorer.tabs.sessions import forget_gone

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def forgotten():
    return []


@pytest.fixture
def sessions(forgotten):
    """Two sessions in which a file is kept; anna has closed her page."""
    with gr.Blocks(analytics_enabled=False) as page:
        kept = gr.State(None, delete_callback=forgotten.append)
    holder = StateHolder()
    page.state_session_capacity = 10
    holder.set_blocks(page)
    for name in ("anna", "ben"):
        holder[name][kept._id] = f"file of {name}"
    holder["anna"].is_closed = True
    return holder


def test_who_left_an_hour_ago_is_forgotten_with_their_files(sessions, forgotten):
    assert forget_gone(sessions, datetime.now() + HOUR - MINUTE) == [] == forgotten
    assert forget_gone(sessions, datetime.now() + HOUR + MINUTE) == ["anna"]
    assert forgotten == ["file of anna"]
    assert list(sessions.session_data) == list(sessions.time_last_used) == ["ben"]


def test_who_came_back_is_kept(sessions, forgotten):
    sessions.time_last_used["anna"] = datetime.now() + HOUR
    assert forget_gone(sessions, datetime.now() + HOUR + MINUTE) == [] == forgotten


def test_who_asks_for_nothing_for_a_day_is_forgotten_though_they_never_left(sessions, forgotten):
    assert sorted(forget_gone(sessions, datetime.now() + 24 * HOUR + MINUTE)) == ["anna", "ben"]
    assert sorted(forgotten) == ["file of anna", "file of ben"]
    assert forget_gone(sessions, datetime.now() + 48 * HOUR) == []
