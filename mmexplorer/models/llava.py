"""LLaVA-1.5, LLaVA-NeXT and LLaVA-OneVision: conversations about pictures, answered token by token.

Brings together the checkpoint (llava_loading), how it reads a conversation (llava_prompt, llava_pictures), how it
answers (llava_generation) and what is kept of an answer (llava_answers). Callers hold the device's lock.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.models import llava_answers, llava_loading
from mmexplorer.models.checkpoints import said_as_refusal
from mmexplorer.models.llava_answers import Answered, KeptAnswers
from mmexplorer.models.llava_generation import Generation, Sampling
from mmexplorer.models.llava_pictures import PictureReader
from mmexplorer.models.llava_prompt import Prompt, Prompter
from mmexplorer.models.llava_words import Speller
from mmexplorer.placement import Placement
from mmexplorer.presets import Preset
from mmexplorer.replies import Attention, Turn, Word


def load(preset: Preset, path: str | Path, placement: Placement) -> "LlavaChat":
    """The checkpoint in folder `path`, laid out so; Refusal if it is damaged, incomplete or of another family."""
    with said_as_refusal(preset.label):
        found = llava_loading.read(preset, path, placement)
        return LlavaChat(found.model, found.tokenizer, found.image_processor, found.template, preset.label)


class LlavaChat:
    """A LLaVA checkpoint that chats.

    model is the transformers model, context the most tokens that it reads, answer included, and memory_bytes what its
    weights take on the device.
    """

    def __init__(self, model: torch.nn.Module, tokenizer, image_processor, template: str | None, label: str):
        self.model, self.label = model, label
        config, text = model.config, model.config.get_text_config()
        if not template:
            raise Refusal(f"{label} has no chat template, so nobody knows how it was trained to converse.")
        if not tokenizer.is_fast:
            raise Refusal(f"{label} has a tokenizer that cannot say where in a text its tokens come from.")
        if len(tokenizer) > text.vocab_size:
            raise Refusal(f"{label} has a tokenizer with more words than the model knows; they do not belong together.")
        self.context = text.max_position_embeddings
        self.memory_bytes = llava_loading.memory_bytes(model)
        reader = PictureReader(config, image_processor, label)
        self._prompter = Prompter(tokenizer, template, reader, config.image_token_id, self.context, label)
        self._speller = Speller(tokenizer)
        self._kept = KeptAnswers()
        ends = model.generation_config.eos_token_id
        ends = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id}
        self.end_ids = frozenset(token for token in ends if token is not None)
        # Tokens that stand for pixels: in an answer they would have none.
        placeholders = (config.image_token_id, getattr(config, "video_token_id", None))
        self.never_ids = frozenset(token for token in placeholders if token is not None)

    def prompt(self, turns: Sequence[Turn]) -> Prompt:
        """A conversation, (role, text, RGB pictures) in turn from "user" to "user", ready to be answered.

        Refusal if it is no conversation, or longer than the context.
        """
        return self._prompter.prompt(turns)

    def generate(
        self,
        prompt: Prompt,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        forced: Mapping[int, int] | None = None,
        stop: threading.Event | None = None,
    ) -> Generation:
        """An iterator over the answer's tokens that computes each when asked; no token comes after `stop` is set.

        temperature 0 takes the likeliest token, else tokens are drawn, the same ones for the same seed. forced says
        which token id must stand at which position of the answer. Refusal for settings that make no sense.
        """
        return Generation(
            self.model,
            {"input_ids": prompt.input_ids, **prompt.images},
            Sampling(max_new_tokens, temperature, top_p, seed, forced),
            self._speller,
            room=self.context - len(prompt),
            end_ids=self.end_ids,
            never=self.never_ids,
            stop=stop,
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer's ids, special tokens left out."""
        return self._speller.decode(ids)

    def name(self, token: int) -> str:
        """A token on its own, as text or, where it has none, as the tokenizer writes it."""
        return self._speller.name((), token)

    def word_groups(self, ids: Sequence[int]) -> tuple[Word, ...]:
        """Which of an answer's tokens join into which words and punctuation marks."""
        return self._speller.words(ids)

    def keep(self, prompt: Prompt, generation: Generation) -> str:
        """Keeps the keys and values of an answer as it stands; the handle by which `recall` finds them for a while."""
        answered = Answered.of(prompt, generation)
        return self._kept.keep(answered) if answered else ""

    def recall(self, handle: str, turns: Sequence[Turn], ids: Sequence[int]) -> Answered:
        """The answer of those ids to a conversation: the kept one, or made anew if that is gone.

        turns are as for `prompt`, ids the answer's tokens.
        """
        kept = self._kept.get(handle)
        if kept is None or kept.ids != tuple(ids):
            kept = llava_answers.answered_again(self.model, self.prompt(turns), ids)
            if handle:
                self._kept.keep(kept, handle)
        return kept

    def forget(self, handle: str | None = None) -> None:
        """Drops one kept answer, or all of them."""
        self._kept.forget(handle)

    def attention(self, prompt: Prompt, generation: Generation, images: Sequence[Image.Image]) -> Attention | None:
        """Where an answer's words, and the last question's, looked in the conversation's pictures.

        None if there are no pictures or the prompt has not been read yet.
        """
        answered = Answered.of(prompt, generation)
        return answered and llava_answers.attention(self, answered, images)

    def close(self) -> None:
        """Lets go of everything that was kept."""
        self.forget()
