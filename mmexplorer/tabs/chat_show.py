"""What the chat tab shows of an answer that is there, from its Reply alone; no model is asked.

What needs the model again, such as another view of the attention, is in `chat_look` and `chat_probe`.
"""

import gradio as gr

from mmexplorer.figures.model_views import views_payload
from mmexplorer.figures.tokens import tokens_payload
from mmexplorer.presets import preset
from mmexplorer.replies import Reply
from mmexplorer.tabs import chat_look as look
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs.chat_code import python_code
from mmexplorer.tabs.chat_session import Exchange, Talk
from mmexplorer.tabs.status import message

OUTPUTS = (
    "which", "picture", "view", "heads", "sinks", "part", "layer", "head", "word", "hidden", "tokens", "viewer",
    "views", "lens", "tower", "causal", "code",
)  # fmt: skip
ENDED = {
    "end": "The model ended the answer",
    "length": "Cut at the most new tokens (see Settings)",
    "context": "Cut because the model's context was full",
    "stopped": "Stopped by you",
}


def answer(talk: Talk, which: int | None, truths: dict) -> dict:
    """Values of OUTPUTS for one answer of the conversation, or for none."""
    number = session.chosen(talk, which)
    if number is None:
        return nothing()
    reply = session.with_maps(talk[: number + 1])
    answers = [(_short(n, exchange), n) for n, exchange in enumerate(talk) if exchange.reply]
    values = nothing() | {
        "which": gr.Dropdown(answers, value=number, visible=len(answers) > 1),
        "tokens": tokens_payload(reply),
        "code": python_code(talk[: number + 1]),
    }
    attention = reply.attention
    if attention is None:
        return values
    first = look.Look(picture=session.newest_picture(talk[: number + 1]))
    values |= look.controls(reply, truths, first.picture)
    values["views"] = views_payload(attention.images, attention.layouts, model=preset(reply.model).label)
    if attention.words:  # neither question nor answer need have any
        values["viewer"] = look.payload(attention, look.grounding(reply, first), truths, first, first=True)
    return values


def nothing() -> dict:
    """Values of OUTPUTS before there is an answer."""
    return {
        "which": gr.Dropdown([], visible=False),
        **look.no_controls(),
        **dict.fromkeys(("tokens", "viewer", "views", "lens", "tower")),
        "causal": "",
        "code": "",
    }


def summary(reply: Reply) -> str:
    """The status line of a finished answer."""
    label = preset(reply.model).label
    toy = " A toy model: it knows drawn shapes and about 200 words." if preset(reply.model).tier == "toy" else ""
    stopped = "Stopped; what was written stays. " if reply.ended == "stopped" else ""
    return f"{stopped}{label} answered in {max(reply.seconds, 0.01):.2f} s.{toy}"


def counts(reply: Reply) -> str:
    """The line below the conversation: speed, counts, why it ended, and the remarks."""

    def number(count: int, noun: str) -> str:
        return f"{count:,} {noun}{'' if count == 1 else 's'}"

    read = f"{number(reply.text_tokens, 'text token')} and {number(reply.image_tokens, 'image token')} read"
    line = f"{number(len(reply.tokens), 'token')} written, {reply.tokens_per_second:,.0f} a second; {read}."
    empty = "" if reply.text.strip() else ", which is empty"
    line += f" {ENDED[reply.ended]}{empty}."
    return message(line) + "".join(message(remark, "note") for remark in reply.remarks)


def _short(number: int, exchange: Exchange) -> str:
    question = " ".join(exchange.question.split())
    return f"{number + 1}. {question[:60]}{'...' if len(question) > 60 else ''}"
