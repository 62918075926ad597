"""The one exception a visitor may read: a single clear sentence about what cannot be done and what would help.

Anything else that escapes is a bug. The module knows nothing of Gradio; the tabs turn a refusal into a toast.
"""


class Refusal(ValueError):
    """Input or circumstances that the app declines, said in one sentence fit for the person who caused them."""
