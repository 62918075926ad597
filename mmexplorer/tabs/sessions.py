"""Forgets visitors who are gone: what they had open takes about a megabyte each, and what they saw besides.

Gradio itself forgets the values of gr.State an hour after a visitor has left; all else it keeps of a session, a copy of
every component with what it shows, until there are too many sessions. The hour is for those who come back, such as a
phone that slept.
"""

from datetime import datetime, timedelta

from gradio.state_holder import StateHolder

LEFT = timedelta(hours=1)
# Scripts that never said that they would stay, and so never leave.
UNUSED = timedelta(days=1)


def forget_gone(sessions: StateHolder, now: datetime | None = None) -> list[str]:
    """Drops the sessions of visitors who left, or asked for nothing, so long ago, and calls their delete_callbacks."""
    now, gone = now or datetime.now(), []
    for name, session in list(sessions.session_data.items()):
        idle = now - sessions.time_last_used.get(name, now)
        if idle > (LEFT if session.is_closed else UNUSED):
            gone.append(name)
    for name in gone:
        sessions.delete_state(name)
        with sessions.lock:
            sessions.session_data.pop(name, None)
            sessions.time_last_used.pop(name, None)
    return gone
