"""Tokens as a reader expects them: without the marks that tokenizers put at the edges of words, and of which kind."""

from collections.abc import Collection

UNKNOWN_TOKENS = frozenset({"[UNK]", "<unk>", "<|unk|>"})
SPECIAL_TOKENS = frozenset(
    {"<|startoftext|>", "<|endoftext|>", "[BOS]", "[EOS]", "[CLS]", "[SEP]", "<s>", "</s>", "<bos>", "<eos>"}
)


def token_chip(token: str, unknown: Collection[str] = ()) -> dict[str, str]:
    """{"text", "kind"} of a token of BPE or SentencePiece; kind is "word", "special" or "unknown".

    unknown are words, in lower case, that the model has no token for.
    """
    text = token.removesuffix("</w>").lstrip("▁Ġ") or token
    if token in UNKNOWN_TOKENS or text.casefold() in unknown:
        return {"text": text, "kind": "unknown"}
    return {"text": text, "kind": "special" if token in SPECIAL_TOKENS else "word"}
