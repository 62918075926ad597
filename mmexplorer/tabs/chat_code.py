"""The Python that repeats what was said in the chat tab, for exactly the settings of its last answer."""

from mmexplorer.figures.conversation import picture_name
from mmexplorer.tabs.chat_session import Talk


def python_code(exchanges: Talk) -> str:
    """A program that leaves the last exchange's answer as `reply`; pictures are named as in the ZIP."""
    lines = []
    for number, exchange in enumerate(exchanges, 1):
        names = [picture_name(number, index) for index in range(1, len(exchange.files) + 1)]
        lines.append(f'    ("user", {exchange.question!r}, {names!r}),')
        lines.append(f'    ("assistant", {exchange.reply.text if exchange.reply else ""!r}),')
    reply = exchanges[-1].reply
    settings = "".join(
        f", {name}={value!r}" for name, value in reply.settings.items() if value or name == "temperature"
    )
    turns = "\n".join(lines[:-1])
    return f"""\
import mmexplorer

# The pictures are in the ZIP under Downloads; run this where it was unpacked.
turns = [
{turns}
]
for event in mmexplorer.chat(turns, model={reply.model!r}{settings}):
    print(event.text, end="\\r")
reply = event.reply
print()
for token in reply.tokens:
    print(f"{{token.text!r:12}} {{token.probability:.3f}}", [name for _, name, _ in token.alternatives])
if reply.attention:  # rows of every word on every image token, and the default view of the first picture
    print(reply.attention.mean.shape, reply.grounding.words, reply.grounding.maps.shape)
"""
