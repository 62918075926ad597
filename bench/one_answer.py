"""The program that `answer_maps` starts afresh: one answer of a random LLaVA in one of three ways, measured.

Prints its figures as JSON and writes the answer's ids and, but for the plain way, its attention rows to a file.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from bench.peak_memory import with_peak
from bench.random_llava import conversation, random_llava
from mmexplorer.replies import ROLES


def plain(chat, prompt, tokens: int, _) -> tuple[list[int], dict, None]:
    """transformers' own generate()."""
    output = _generate(chat, prompt, tokens)
    return output[0, len(prompt) :].tolist(), {}, None


def ours(chat, prompt, tokens: int, pictures: list) -> tuple[list[int], dict, Callable]:
    """Token by token with alternatives, and every token's attention rows from a replay."""
    generation = chat.generate(prompt, max_new_tokens=tokens)
    for _ in generation:
        pass
    started = time.perf_counter()
    found = chat.attention(prompt, generation, pictures)
    told = {
        "rows_seconds": time.perf_counter() - started,
        "kept": found.mean.nbytes + found.max.nbytes + found.shares.nbytes,
        "cache": sum(t.nbytes for layer in generation.cache.layers for t in (layer.keys, layer.values)),
    }
    rows = {"mean": found.mean, "max": found.max, "share": found.shares[..., ROLES.index("image")]}
    return generation.ids, told, lambda: rows


def eager(chat, prompt, tokens: int, _) -> tuple[list[int], dict, Callable]:
    """generate() with eager attention, which keeps the weights of every token of the prompt too."""
    output = _generate(chat, prompt, tokens, output_attentions=True, return_dict_in_generate=True)
    told = {"kept": sum(weights.nbytes for step in output.attentions for weights in step)}
    return output.sequences[0, len(prompt) :].tolist(), told, lambda: _rows(output.attentions, prompt)


def _generate(chat, prompt, tokens: int, **more):
    inputs = {name: tensor.to(chat.model.device) for name, tensor in prompt.images.items()}
    if "pixel_values" in inputs:
        inputs["pixel_values"] = inputs["pixel_values"].to(chat.model.dtype)
    ids = prompt.input_ids.to(chat.model.device)
    return chat.model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        **inputs,
        max_new_tokens=tokens,
        do_sample=False,
        suppress_tokens=sorted(chat.never_ids),
        **more,
    )


def _rows(steps, prompt) -> dict[str, np.ndarray]:
    """Of every query after the last picture, weights on the image tokens: mean and max over heads, and their sum."""
    columns = torch.from_numpy(np.concatenate([layout.positions for layout in prompt.layouts]))
    first = int(columns.max()) + 1
    found = {"mean": [], "max": [], "share": []}
    for layer in range(len(steps[0])):
        parts = [steps[0][layer][0, :, first:], *(step[layer][0] for step in steps[1:])]
        weights = torch.cat([part[..., columns.to(part.device)].float() for part in parts], dim=1)
        found["mean"].append(weights.mean(dim=0).cpu())
        found["max"].append(weights.amax(dim=0).cpu())
        found["share"].append(weights.sum(dim=-1).cpu())
    return {name: torch.stack(layers).numpy() for name, layers in found.items()}


def main(way: str, size: str, device: str, tokens: int, file: str) -> None:
    chat = random_llava(size, device, "eager" if way == "eager" else "sdpa")
    turns = conversation(size)
    prompt = chat.prompt(turns)
    plain(chat, chat.prompt([("user", "word0", [])]), 2, None)  # whatever torch does once

    def timed() -> tuple:
        started = time.perf_counter()
        answer = {"plain": plain, "ours": ours, "eager": eager}[way](chat, prompt, tokens, turns[0][2])
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - started, *answer

    (seconds, ids, told, rows), peak = with_peak(timed, device)
    np.savez(file, ids=ids, **(rows() if rows else {}))
    sizes = {"prompt": len(prompt), "image": prompt.image_tokens}
    print(json.dumps({"seconds": seconds, "peak": peak, **told, **sizes}))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), sys.argv[5])
