"""What an answer owes to some image tokens: they are hidden from the language model, or their patches painted over.

Hiding is attention knockout (Geva et al. 2023, arXiv 2304.14767) of image tokens from everything else: no other token,
of picture or text, may look at them in any layer. What the vision tower has already mixed into their neighbours stays,
which is why painting over exists beside it. Knows neither attention nor which tokens are worth hiding. Callers hold
the device's lock.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from torch import nn

from mmexplorer.models.llava import LlavaChat
from mmexplorer.models.llava_probes import fed
from mmexplorer.models.llava_prompt import Prompt
from mmexplorer.replies import Turn


@contextmanager
def hidden(model: nn.Module, positions: np.ndarray) -> Iterator[None]:
    """Within it, this thread's passes through a LLaVA attend to none of these positions (n,) of its prompt.

    All other positions keep their number. At least one position must stand before the first that is hidden.
    """
    language, owner = model.model.language_model, threading.get_ident()

    def hide(module, args, kwargs):
        if threading.get_ident() != owner:  # hooks belong to the model, and another thread may be running it
            return None
        embeddings, past = kwargs["inputs_embeds"], kwargs.get("past_key_values")
        length = embeddings.shape[1] + (past.get_seq_length() if past is not None else 0)
        mask = torch.ones(len(embeddings), length, dtype=torch.long, device=embeddings.device)
        mask[:, torch.from_numpy(positions)] = 0
        return args, kwargs | {"attention_mask": mask}

    hook = language.register_forward_pre_hook(hide, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def without(
    chat: LlavaChat, turns: Sequence[Turn], prompt: Prompt, picture: int, chosen: np.ndarray, *, cover: bool
) -> Iterator[Prompt]:
    """The prompt to work with inside, where these of a picture's tokens (n,) are hidden, or with cover painted over."""
    layout = prompt.layouts[picture]
    if cover:
        yield chat.prompt(covered(turns, picture, layout.boxes[chosen]))
    else:
        with hidden(chat.model, layout.positions[chosen]):
            yield prompt


@torch.inference_mode()
def log_probability(chat: LlavaChat, prompt: Prompt, ids: Sequence[int], tokens: Sequence[int]) -> float:
    """Natural log of the probability of ids[t] for all t of `tokens` together, each after the ids before it."""
    answer = prompt.input_ids.new_tensor([ids[: max(tokens)]])
    inputs = fed(chat, prompt)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], answer.to(inputs["input_ids"].device)], dim=1)
    # Counted from the end and not by their positions, which would have to be where the last layer is.
    last = max(tokens) - min(tokens) + 1
    logits = chat.model(**inputs, use_cache=False, logits_to_keep=last).logits[0].float()
    logits = logits[[token - min(tokens) for token in tokens]]
    logits[:, list(chat.never_ids)] = -torch.inf
    chosen = torch.tensor([[ids[token]] for token in tokens], device=logits.device)
    return logits.log_softmax(dim=-1).gather(1, chosen).sum().item()


def greedy_text(chat: LlavaChat, prompt: Prompt, max_new_tokens: int, stop: threading.Event | None = None) -> str:
    """The likeliest answer, as far as it has come when `stop` is set."""
    generation = chat.generate(prompt, max_new_tokens=max_new_tokens, stop=stop)
    text = chat.decode([token.id for token in generation])
    generation.release()
    return text


def covered(turns: Sequence[Turn], picture: int, boxes: np.ndarray) -> list[Turn]:
    """The conversation with every pixel that a box (n, 4) touches in one picture, counted through all turns, painted.

    Boxes are left, top, right, bottom in pixels; the paint is the picture's mean colour.
    """
    result, first = [], 0
    for role, text, pictures in turns:
        some = list(pictures)
        if 0 <= picture - first < len(some):
            some[picture - first] = _painted(some[picture - first], boxes)
        result.append(Turn(role, text, some))
        first += len(some)
    return result


def _painted(picture: Image.Image, boxes: np.ndarray) -> Image.Image:
    pixels = np.array(picture)
    mean = pixels.reshape(-1, pixels.shape[-1]).mean(axis=0).round()
    for left, top, right, bottom in boxes:
        pixels[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = mean
    return Image.fromarray(pixels)
