"""What is measured on demand about an answer that is there: one head, gradients, a neutral question, the eye, the lens.

Each function takes a LlavaChat and, but for the last two, an answer with the cache of keys and values that it left
(`Answered`, here called said). It knows which positions are image tokens, not where they lie on a picture. Callers
hold the device's lock.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmexplorer.models import attention_probe
from mmexplorer.models.input_device import input_device
from mmexplorer.models.llava import LlavaChat
from mmexplorer.models.llava_answers import Answered, first_query
from mmexplorer.models.llava_prompt import Prompt
from mmexplorer.models.logit_lens import logit_lens
from mmexplorer.replies import Turn

# The first is that of Zhang et al. 2025, arXiv 2502.17422; a model that lacks its words gets the next.
NEUTRAL_QUESTIONS = ("Write a general description of the image.", "describe the picture")


def head_rows(chat: LlavaChat, said: Answered, layer: int, head: int) -> np.ndarray:
    """Rows (R, I) of one head on the image tokens, those of `llava_answers.attention`; layer and head count from 0."""
    image = image_positions(said.prompt)
    # The row of the query at position i is counted as that of the token at i + 1.
    rows = attention_probe.head_rows(chat.model, said.cache, said.sequence, first_query(said.prompt) + 1, layer, head)
    return rows[:, image]


def gradient_rows(chat: LlavaChat, said: Answered, tokens: Sequence[int]) -> np.ndarray:
    """Attention x gradient (layers, I) of the answer's tokens at those positions of the conversation.

    What raises the log probability of each token counts, averaged over heads and summed over tokens: the positive part
    of the product, as in Chefer et al. 2021, arXiv 2103.15679, without their chain through the layers.
    """
    image = image_positions(said.prompt)
    total = 0.0
    for token in tokens:
        found = attention_probe.gradient_rows(chat.model, said.cache, said.sequence, token)
        total = total + np.maximum(found.attention * found.gradient, 0).mean(axis=1)[:, image]
    return total


def neutral_rows(chat: LlavaChat, said: Answered, turns: Sequence[Turn]) -> np.ndarray:
    """Head-mean rows (layers, I) of the prompt's last position if the last question were a neutral one.

    Everything before the question stays, so that its keys are taken from the answer's cache. A = A(question) / A(this)
    is the relative attention of Zhang et al. 2025, arXiv 2502.17422.
    """
    known = (text for text in NEUTRAL_QUESTIONS if not chat.prompt([Turn("user", text)]).unknown_words)
    neutral = chat.prompt([*turns[:-1], Turn("user", next(known, NEUTRAL_QUESTIONS[-1]), turns[-1].pictures)])
    ids, own = neutral.input_ids[0], said.prompt.input_ids[0]
    shared = int((ids[: len(own)] == own[: len(ids)]).long().cumprod(dim=0).sum())
    image = image_positions(neutral)
    # The row of the last position is counted as that of a token after it, whichever.
    ids = torch.cat([ids, ids[-1:]]).to(said.sequence.device)
    first = min(shared, len(neutral) - 1)  # at least the last position is fed, were the question the neutral one itself
    return attention_probe.replay(chat.model, said.cache, ids, first + 1, keep="mean").mean[:, -1, image]


def vision_rows(chat: LlavaChat, prompt: Prompt, picture: int) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """How the vision tower looks at the base view of one picture: names of W rows, rows (layers, W, k), shares.

    The k columns are the view's patches. Rows are the class token's attention (if the tower has one), that of the
    patches on average, and the norms of the patches' hidden states less the smallest (high ones mark tokens that the
    tower uses as scratch paper, Darcet et al. 2023, arXiv 2309.16588). shares (layers, W) say how much of the attention
    falls on patches, NaN for norms. Layers are those up to the one whose features the language model gets.
    """
    pixels = fed(chat, prompt)["pixel_values"][picture]
    pixels = (pixels[0] if pixels.dim() == 4 else pixels)[None]
    attention = attention_probe.vision_attention(chat.model, pixels)[0]
    with torch.inference_mode():
        hidden = chat.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    rows, columns = prompt.layouts[picture].base_grid
    first = attention.shape[-1] - rows * columns  # CLIP's class token stands before the patches, SigLIP has none
    norms = [state[0, first:].float().norm(dim=-1).cpu() for state in hidden[1 : len(attention) + 1]]
    norms = torch.stack(norms).numpy()
    named = {"class token": attention[:, 0, first:]} if first else {}
    named["average over patches"] = attention[:, first:, first:].mean(axis=1)
    shares = [row.sum(axis=-1) for row in named.values()]
    named["norm above the smallest"] = norms - norms.min(axis=-1, keepdims=True)
    shares.append(np.full(len(attention), np.nan, np.float32))
    return tuple(named), np.stack(list(named.values()), axis=1), np.stack(shares, axis=1)


def lens(chat: LlavaChat, prompt: Prompt, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logit lens at positions (k,) of a prompt: words (layers + 1, k, 5) as str and their probabilities."""
    found = logit_lens(chat.model, fed(chat, prompt), torch.from_numpy(positions))
    ids, places = np.unique(found.ids, return_inverse=True)
    names = np.array([chat.name(int(token)) for token in ids])
    return names[places.reshape(found.ids.shape)], found.probabilities


def image_positions(prompt: Prompt) -> np.ndarray:
    """Positions (I,) of the image tokens of all pictures, in order."""
    return np.concatenate([layout.positions for layout in prompt.layouts])


def fed(chat: LlavaChat, prompt: Prompt) -> dict[str, Tensor]:
    """The tensors of a prompt with pictures on the model's device, pictures in its precision."""
    inputs = {"input_ids": prompt.input_ids, **prompt.images}
    device = input_device(chat.model)
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
    return inputs | {"pixel_values": inputs["pixel_values"].to(chat.model.dtype)}
