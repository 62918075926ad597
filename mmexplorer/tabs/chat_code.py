"""The Python that repeats what was said in the chat tab, for exactly the settings of its last answer."""

from mmexplorer.tabs.chat_session import Exchange


def python_code(exchanges: tuple[Exchange, ...]) -> str:
    """A program that leaves the last exchange's answer as `reply`; it opens pictures by number from its folder."""
    numbers, lines = iter(range(1, 1_000)), []
    for exchange in exchanges:
        names = [f"picture-{next(numbers)}.png" for _ in exchange.pictures]
        lines.append(f'    ("user", {exchange.question!r}, {names!r}),')
        lines.append(f'    ("assistant", {exchange.reply.text if exchange.reply else ""!r}),')
    reply = exchanges[-1].reply
    settings = "".join(
        f", {name}={value!r}" for name, value in reply.settings.items() if value or name == "temperature"
    )
    turns = "\n".join(lines[:-1])
    return f"""\
import mmexplorer

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
