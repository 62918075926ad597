"""Records what the shipped models answer to the example pictures: `python -m mmexplorer.training.record`.

The examples of the zero-shot tab show these results before any model is loaded.
"""

from mmexplorer.explore import zero_shot
from mmexplorer.explore.recordings import Recording
from mmexplorer.explore.truth import load_truth
from mmexplorer.figures.scores import scores_payload
from mmexplorer.figures.steps import steps_payload
from mmexplorer.figures.viewer import viewer_payload
from mmexplorer.pictures import open_picture
from mmexplorer.presets import preset

MODEL = "toy-clip"
EXAMPLES = {
    "red-circle-blue-square": ("a red circle", "a blue square", "a blue circle", "a red square"),
    "three-yellow-stars": ("two stars", "three stars", "four stars"),
    "heart-above-moon": ("a heart above a moon", "a heart below a moon", "a heart", "a moon"),
    "purple-circle": ("a purple circle", "a pink circle", "a purple square", "a blue circle"),
    "dark-trio": ("a pink star", "a yellow circle", "a green arrow", "a red heart"),
    "noisy-pair": ("a blue triangle", "an orange ring", "an orange triangle", "a purple ring"),
    "striped-square": ("a striped square", "a solid square", "an outlined square"),
    "circle-with-word": ("a circle", "a square", "the word square", "the word circle"),
}
TITLES = {"purple-circle": "purple circle, a pair never seen in training"}


def record(name: str, labels: tuple[str, ...]) -> Recording:
    """One example's results, as the payloads that the page draws."""
    picture = f"{name}.png"
    recording = Recording(
        title=TITLES.get(name, name.replace("-", " ")),
        tab="zero_shot",
        picture=picture,
        labels=labels,
        templates=("{}",),
        models=(MODEL,),
        payloads={},
    )
    image, truth = open_picture(recording.path), load_truth(recording.path)
    answer = zero_shot.classify(image, labels, model=MODEL)
    recording.payloads["scores"] = scores_payload(
        [answer], names=[preset(MODEL).label], thumbnails=[image], picture_names=[picture]
    )
    grounding = zero_shot.ground_labels(image, labels, model=MODEL)
    recording.payloads["viewer"] = viewer_payload(grounding, truth and truth.masks_of(labels))
    recording.payloads["walk"] = steps_payload(zero_shot.trace(image, labels, model=MODEL))
    return recording


def main() -> None:
    for number, (name, labels) in enumerate(EXAMPLES.items(), 1):
        record(name, labels).save(f"{number}-{name}")


if __name__ == "__main__":
    main()
