"""One traced zero-shot classification as the payload of the five steps: picture, prompts, vectors, cosines, softmax.

Chooses which labels and templates fit on a page; knows nothing of how they are drawn.
"""

import numpy as np

from mmexplorer.figures.inline import float32_text, payload_text, picture_uri
from mmexplorer.figures.token_chips import token_chip
from mmexplorer.results import Trace


def steps_payload(trace: Trace, *, limit: int = 5, template_limit: int = 3) -> str:
    """JSON for `components.steps`: the `limit` labels with the highest cosines, and what became of all the others.

    Of each label's prompts the first `template_limit` are shown. Probabilities are those of the whole
    classification, so the labels left out still take their share of a softmax.
    """
    classification = trace.classification
    cosines, chances = classification.cosines[0], classification.probabilities[0]
    order = np.argsort(-cosines, kind="stable")
    logits = classification.logit_scale * cosines.astype(np.float64) + classification.logit_bias
    # The browser shows exp(logit - highest): the shift cancels in the softmax and keeps the numbers small.
    exponentials = np.exp(logits - logits.max())
    unknown = {word.casefold() for word in classification.unknown_words}
    return payload_text(
        {
            "model": classification.model,
            "picture": {
                "uri": picture_uri(trace.seen),
                "size": list(trace.seen.size),
                "patches": list(trace.patches),
                "vector": float32_text(trace.image_embedding),
            },
            "logit_scale": float(classification.logit_scale),
            "logit_bias": float(classification.logit_bias),
            "activation": classification.activation,
            "templates": list(classification.templates),
            "unknown_words": list(classification.unknown_words),
            "labels": [
                {
                    "label": classification.labels[i],
                    "prompts": list(trace.prompts[i][:template_limit]),
                    "tokens": [token_chip(token, unknown) for token in trace.tokens[i][0]],
                    "vector": float32_text(trace.text_embeddings[i]),
                    "cosine": float(cosines[i]),
                    "logit": float(logits[i]),
                    "exponential": float(exponentials[i]),
                    "probability": float(chances[i]),
                }
                for i in order[:limit]
            ],
            "others": {
                "count": max(0, len(cosines) - limit),
                "exponential": float(exponentials[order[limit:]].sum()),
                "probability": float(chances[order[limit:]].sum()),
            },
        }
    )
