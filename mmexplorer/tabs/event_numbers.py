"""Whole numbers that a component's event tells; anybody can send one, so nothing about it is taken for granted."""

from contextlib import suppress

import gradio as gr

from mmexplorer.errors import Refusal


def number_of(event: gr.EventData, name: str, stop: int) -> int:
    """The event's number of that name, from 0 and below `stop`; Refusal if it has none such."""
    value = None
    with suppress(AttributeError, TypeError):  # an event without any data
        value = getattr(event, name)
    if type(value) is not int or not 0 <= value < stop:
        raise Refusal("That is not on the page any more; choose again.")
    return value
