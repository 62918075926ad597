"""An answer in the making: one token at a time, with probabilities, and the cache of keys and values kept.

The loop is our own so that it can stop between any two tokens, say what else was likely, be told a token, and leave
its cache to whoever replays the answer for attention. Knows neither pictures nor chat templates.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from transformers import DynamicCache

from mmexplorer.errors import Refusal
from mmexplorer.models.damage import refuse_damaged
from mmexplorer.models.input_device import input_device
from mmexplorer.models.llava_words import Speller
from mmexplorer.replies import TokenChoice

ALTERNATIVES = 5


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: the likeliest at temperature 0, else drawn from the likeliest that make up top_p.

    forced gives positions of the answer their token id. Refusal for values that make no sense.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    forced: Mapping[int, int] | None = None

    def __post_init__(self):
        if self.max_new_tokens < 1:
            raise Refusal("An answer needs room for at least one token.")
        if not 0 <= self.temperature < float("inf"):
            raise Refusal("The temperature must be a number from 0 up.")
        if not 0 < self.top_p <= 1:
            raise Refusal("Top-p must be above 0 and at most 1.")


class Generation(Iterator[TokenChoice]):
    """Iterates over the tokens of an answer, its end token included.

    ids holds the answer so far. cache holds keys and values of the prompt and of every token that was fed, which the
    last of `ids` need not be; it lives on after the end and after a stop, until `release`. ended is None while tokens
    may come, then "end" (the model's end token), "length" (max_new_tokens), "context" (no room left) or "stopped".
    """

    def __init__(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, torch.Tensor],
        sampling: Sampling,
        speller: Speller,
        *,
        room: int,
        end_ids: Collection[int],
        never: Collection[int],
        stop: threading.Event | None = None,
    ):
        self.ids: list[int] = []
        self.ended: str | None = None
        # Without the config, so that layers with a sliding window keep all keys too: a replay takes tokens back.
        self.cache: DynamicCache | None = DynamicCache()
        self.sampling = sampling
        self._model, self._inputs, self._speller = model, dict(inputs), speller
        self._prompt_ids = inputs["input_ids"][0]
        self._room, self._end_ids, self._never = room, frozenset(end_ids), list(never)
        self._stop = stop or threading.Event()
        self._random = np.random.default_rng(sampling.seed)
        vocabulary = model.config.get_text_config().vocab_size
        for token in (sampling.forced or {}).values():
            if not 0 <= token < vocabulary or token in never:
                raise Refusal(f"Token {token} cannot stand in an answer.")

    def __next__(self) -> TokenChoice:
        self._look_at_stop()
        if self.ended is not None:
            raise StopIteration
        try:
            logits = self._next_logits()
        except Exception:
            self.release()  # of its layers some may have the keys of the last token and others not
            raise
        self._look_at_stop()
        if self.ended is not None:
            raise StopIteration
        probabilities = logits.softmax(dim=-1)
        likeliest = probabilities.topk(min(ALTERNATIVES, len(probabilities)))
        token = self._choose(logits)
        choice = TokenChoice(
            id=token,
            text=self._speller.piece(self.ids, token),
            probability=float(probabilities[token]),
            alternatives=tuple(
                (other, self._speller.name(self.ids, other), probability)
                for other, probability in zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
            ),
        )
        self.ids.append(token)
        if token in self._end_ids:
            self.ended = "end"
        elif len(self.ids) >= self.sampling.max_new_tokens:
            self.ended = "length"
        elif len(self.ids) >= self._room:
            self.ended = "context"
        return choice

    @property
    def sequence(self) -> torch.Tensor:
        """Ids of the prompt and the answer so far, (P + T,), on the model's device."""
        return torch.cat([self._prompt_ids, self._prompt_ids.new_tensor(self.ids)]).to(input_device(self._model))

    def release(self) -> None:
        """Gives the cache's memory back and ends the answer."""
        self.cache, self.ended = None, self.ended or "stopped"

    def _look_at_stop(self) -> None:
        if self.ended is None and self._stop.is_set():
            self.ended = "stopped"

    @torch.no_grad()  # not inference_mode, whose tensors could not take part in gradients of attention later
    def _next_logits(self) -> torch.Tensor:
        """Float32 logits (words,) of the next token."""
        device = input_device(self._model)
        if self.ids:
            inputs = {"input_ids": torch.tensor([[self.ids[-1]]], device=device)}
        else:
            inputs = {name: tensor.to(device) for name, tensor in self._inputs.items()}
            self._inputs.clear()
            if "pixel_values" in inputs:
                inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        output = self._model(**inputs, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        logits = output.logits[0, -1].float()
        refuse_damaged(logits)
        logits[self._never] = -torch.inf
        return logits

    def _choose(self, logits: torch.Tensor) -> int:
        # Drawn for forced and greedy tokens too, so that forcing one leaves the luck of all others as it was.
        drawn = self._random.random()
        forced = (self.sampling.forced or {}).get(len(self.ids))
        if forced is not None:
            return int(forced)
        if self.sampling.temperature == 0:
            return int(logits.argmax())
        # On the CPU, because not every device knows double precision.
        weights = (logits.cpu().double() / self.sampling.temperature).softmax(dim=-1).numpy()
        order = np.argsort(-weights, kind="stable")
        sums = np.cumsum(weights[order])
        kept = int(np.searchsorted(sums, self.sampling.top_p)) + 1  # the one that reaches top_p is kept
        sums = sums[:kept]
        return int(order[min(np.searchsorted(sums, drawn * sums[-1], side="right"), len(sums) - 1)])
