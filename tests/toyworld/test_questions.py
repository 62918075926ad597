"""Questions read as text and answered once more from the scene, independently of how they were made."""

import random
import re
from collections import Counter

import pytest

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.questions import ABSENCES, KINDS, ask, existence
from mmexplorer.toyworld.scenes import RADII, Rules, Sampler, rng_for
from mmexplorer.toyworld.splits import UNSEEN_PAIRS

NAMES = {word: name for name, options in words.SYNONYMS.items() for word in options}
NAMES |= {name: name for name in (*words.COLOURS, *words.SHAPES, *words.SIZES, "person")}
NOUNS = (*words.SHAPES, "person")
NAMES |= {words.PLURALS[word]: name for word, name in tuple(NAMES.items()) if name in NOUNS}
ANY = {"shape", "shapes", "object", "objects", "one", "it", "this"}
SIDES = {
    "left": ("left",), "right": ("right",), "above": ("above", "over", "top"),
    "below": ("below", "under", "underneath"), "inside": ("inside", "in"),
}  # fmt: skip
MIRRORED = {"left": "right", "right": "left"}


def tokens(text):
    return re.findall(r"[a-z0-9']+", text.lower())


def meant(phrase, scene):
    """Indices of the things that a phrase with at most one colour and one shape describes."""
    names = [NAMES[word] for word in tokens(phrase) if word in NAMES]
    colours, shapes = ([n for n in names if n in known] for known in (words.COLOURS, NOUNS))
    assert len(colours) <= 1 and len(shapes) <= 1, phrase
    assert colours or shapes or set(tokens(phrase)) & ANY, phrase
    return tuple(
        i
        for i, thing in enumerate(scene.things)
        if (not colours or thing.colour == colours[0]) and (thing.shape in (shapes or words.SHAPES))
    )


def only(phrase, scene):
    """The one thing that a phrase describes; a second candidate would make the question ambiguous."""
    (index,) = meant(phrase, scene)
    colours = [NAMES[word] for word in tokens(phrase) if NAMES.get(word) in words.COLOURS]
    if colours and not any(NAMES.get(word) in NOUNS for word in tokens(phrase)):
        assert sum(thing.colour == colours[0] for thing in scene.things) == 1, phrase
    return index


def side_of(a, b):
    dx, dy = a.x - b.x, a.y - b.y
    if (dx * dx + dy * dy) ** 0.5 + a.radius < b.radius:
        return "inside"
    return ("left" if dx < 0 else "right") if abs(dx) > abs(dy) else ("above" if dy < 0 else "below")


def references(text):
    """The phrases that start with "the" and end with a noun, without the picture and words about places."""
    nouns = "|".join(sorted((*ANY, *NAMES), key=len, reverse=True))
    colours = "|".join(word for word, name in NAMES.items() if name in words.COLOURS)
    found = re.findall(rf"\bthe (?:(?:{colours}) )?(?:{nouns})(?![a-z'])", text.lower())
    return [phrase for phrase in found if tokens(phrase)[-1] not in words.COLOURS]


def check_colour(scene, text, answer):
    if "text" in tokens(text):
        (index,) = (i for i, thing in enumerate(scene.things) if thing.shape == "word")
        assert scene.things[index].size == "large"
        about = (index,)
    else:
        about = meant(text.lower().replace("tell me", ""), scene)
    assert {scene.things[i].colour for i in about} == {answer}
    return about


def check_shape(scene, text, answer):
    phrase = text.lower().split(" of ")[-1] if "shape of" in text.lower() and "kind" not in text.lower() else text
    about = meant(phrase, scene)
    assert {scene.things[i].shape for i in about} == {answer}
    assert {t.shape for t in scene.things if t.colour == scene.things[about[0]].colour} == {answer}
    return about


def check_size(scene, text, answer):
    phrases = references(text)
    if {"bigger", "smaller"} & set(tokens(text)):
        pair = [only(phrase, scene) for phrase in phrases]
        radii = [scene.things[i].radius for i in pair]
        assert max(radii) >= 1.5 * min(radii)
        assert phrases.index(answer) == radii.index((max if "bigger" in tokens(text) else min)(radii))
        return tuple(pair)
    thing = scene.things[index := only(phrases[0], scene)]
    # Between the classes' limits the word would be a matter of opinion.
    limits = {"small": (0, RADII["small"][1]), "medium": RADII["medium"], "large": (RADII["large"][0], 99)}
    assert limits[thing.size][0] <= thing.radius <= limits[thing.size][1]
    if answer in ("yes", "no"):
        said = text.lower().split(phrases[0])[1]
        (asked,) = (NAMES[word] for word in tokens(said) if NAMES.get(word) in words.SIZES)
        assert thing.size != "medium" and answer == ("yes" if thing.size == asked else "no")
    else:
        assert answer == thing.size
    return (index,)


def check_count(scene, text, answer):
    about = meant(text.lower().replace("number of", "").replace("picture", ""), scene)
    assert answer == words.NUMBERS[len(about)]
    return about


def check_existence(scene, text, answer):
    if {"text", "writing", "written"} & set(tokens(text)):
        about = tuple(i for i, thing in enumerate(scene.things) if thing.shape == "word")
        assert all(scene.things[i].size == "large" for i in about)
    else:
        about = meant(text, scene)
    assert answer == ("yes" if about else "no")
    return about


def check_relation(scene, text, answer):
    phrases = references(re.sub(r"the (left|right) (of|or)", r"\1 \2", text.lower()))
    asked = {side for side, ways in SIDES.items() if set(ways) & set(tokens(text))}
    if tokens(text)[0] == "what":
        (second,) = (only(phrase, scene) for phrase in phrases)
        first = 1 - second
        colour, shape = tokens(answer)[1:]
        assert len(scene.things) == 2 and (scene.things[first].colour, scene.things[first].shape) == (colour, shape)
        answer = "yes"
    else:
        first, second = (only(phrase, scene) for phrase in phrases)
    truth = side_of(scene.things[first], scene.things[second])
    if answer in ("yes", "no"):
        assert (asked == {truth}) == (answer == "yes") and len(asked) == 1
    else:
        assert answer == truth and asked in (set(), {"left", "right"}, {"above", "below"})
        assert not asked or truth in asked
    return first, second


def check_place(scene, text, answer):
    (phrase,) = references(text)
    index = only(phrase, scene)
    thing, sides = scene.things[index], scene.canvas
    ninth = [int(3 * at / side) - 1 for at, side in zip((thing.x, thing.y), sides, strict=True)]
    across = ("right" in tokens(answer)) - ("left" in tokens(answer))
    down = ("bottom" in tokens(answer)) - ("top" in tokens(answer))
    assert [across, down] == ninth and (answer == "middle") == (ninth == [0, 0])
    # A hair's breadth may not decide.
    for at, side in zip((thing.x, thing.y), sides, strict=True):
        assert min(abs(at / side - 1 / 3), abs(at / side - 2 / 3)) >= 0.04
    return (index,)


def check_reading(scene, text, answer):
    (index,) = (i for i, thing in enumerate(scene.things) if thing.shape == "word")
    thing = scene.things[index]
    if answer in ("yes", "no"):
        assert (answer == "yes") == (thing.radius > 4)
    else:
        assert answer == (thing.text if thing.radius > 4 else "unreadable")
        called = set(tokens(text)) & {"letter", "number", "word"}
        kind = "number" if thing.text.isdigit() else "letter" if len(thing.text) == 1 else "word"
        assert called <= ({kind} if thing.radius > 4 else {"word"})
    return (index,)


def check_figure(scene, text, answer):
    phrases = [p for p in references(text) if "person" not in p]
    other = only(phrases[0], scene)
    person = 1 - other
    assert scene.things[person].shape == "person" and len(scene.things) == 2
    side = "left" if scene.things[other].x < scene.things[person].x else "right"
    side = MIRRORED[side] if scene.things[person].facing == "viewer" else side
    if answer in ("yes", "no"):
        assert (side in tokens(text)) == (answer == "yes")
    else:
        assert answer == side
    return other, person


def check_facing(scene, text, answer):
    (index,) = (i for i, thing in enumerate(scene.things) if thing.shape == "person")
    assert answer == {"viewer": "facing us", "away": "facing away"}[scene.things[index].facing]
    return (index,)


def check_describe(scene, text, answer):
    for thing in scene.things:
        if thing.shape == "word":
            called = re.search(rf"\bthe (word|letter|number) {thing.text}\b", answer)
            assert bool(called) == (thing.size == "large") != ("unreadable text" in answer)
        else:
            assert re.search(rf"\b{thing.colour} ({thing.shape}|{words.PLURALS[thing.shape]})\b", answer)
    return tuple(range(len(scene.things)))


def _asked(scenes, kind, rules=None):
    for seed, scene in enumerate(scenes):
        if question := ask(scene, rng_for("ask", seed), kind, rules or Rules()):
            yield scene, question


@pytest.fixture(scope="module")
def scenes(training_scenes):
    """Training's scenes, and those of which it has few or none: figures, words, insides, groups of five and six."""
    few = [Sampler(rng_for("few", seed)).scene(kind) for kind in ("word", "figure") for seed in range(150)]
    crowds = [Sampler(rng_for("crowd", seed), Rules(counts=(5, 6))).scene("group") for seed in range(100)]
    samplers = [Sampler(rng_for("inside", seed)) for seed in range(60)]
    nested = [s.dress(s.pair(("green", "star"), ("red", "circle"), "inside"), "pair") for s in samplers]
    return [*training_scenes, *few, *crowds, *nested]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_right_and_about_the_right_things(scenes, kind):
    check, count = globals()[f"check_{kind}"], 0
    for scene, question in _asked(scenes, kind):
        assert question.kind == kind
        about = check(scene, question.text, question.answer)
        assert question.about == about, question
        count += 1
    assert count > 150


def test_any_scene_has_a_question_and_all_kinds_are_asked(scenes):
    questions = [ask(scene, rng_for("any", seed)) for seed, scene in enumerate(scenes)]
    assert set(KINDS) == {question.kind for question in questions}


def test_the_same_seed_asks_the_same(scenes):
    first, again, other = (
        [ask(scene, random.Random(seed)) for scene in scenes[:100]] for seed in ("same", "same", "different")
    )
    assert first == again != other


def test_ambiguous_things_are_not_asked_about(make_thing, make_scene):
    red, blue = make_thing("circle", x=12.0, radius=9.0), make_thing("circle", x=50.0, radius=9.0, colour="blue")
    two_circles = make_scene(red, blue)
    twins = make_scene(*(make_thing("circle", x=x, radius=9.0) for x in (12.0, 50.0)))
    person = make_thing("person", x=20.0, facing="away")
    red_person = make_scene(person, make_thing("star", x=50.0, radius=6.0))
    diagonal = make_scene(make_thing("star", x=14.0, y=14.0), make_thing("ring", x=48.0, y=48.0, colour="blue"))
    for seed in range(30):
        rng = random.Random(seed)
        assert ask(two_circles, rng, "colour") is None, "which circle?"
        assert ask(twins, rng, "relation") is None and ask(twins, rng, "size") is None, "which of the two?"
        assert ask(red_person, rng, "shape") is None, "is a person a shape?"
        assert ask(diagonal, rng, "relation") is None, "left or above?"


def test_of_nested_things_only_the_inner_one_has_a_place(make_thing, make_scene):
    outer = make_thing("circle", radius=26.0, fill="outline")
    scene = make_scene(outer, make_thing("star", x=44.0, radius=6.0, colour="blue"), kind="pair")
    questions = [ask(scene, random.Random(seed), "relation") for seed in range(60)]
    assert {question.about for question in questions if question} == {(1, 0)}
    assert {"yes", "no", "inside", "a blue star"} == {question.answer for question in questions if question}


def test_kinds_that_do_not_suit_a_scene_give_nothing(make_thing, make_scene):
    single = make_scene(make_thing("circle"), kind="single")
    for kind in ("relation", "reading", "figure", "facing"):
        assert ask(single, random.Random(0), kind) is None
    between = make_scene(make_thing("circle", radius=13.0), kind="single")  # between medium and large
    assert all(ask(between, random.Random(seed), "size") is None for seed in range(20))


@pytest.mark.parametrize(("kind", "choices"), [("existence", ("yes", "no")), ("figure", ("left", "right"))])
def test_neither_answer_is_the_safe_one(scenes, kind, choices):
    answers = Counter(question.answer for _, question in _asked(scenes, kind))
    first, second = (answers[choice] for choice in choices)
    assert first / (first + second) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("kind", ["relation", "size", "figure"])
def test_yes_is_right_about_half_the_time(scenes, kind):
    answers = Counter(question.answer for _, question in _asked(scenes, kind))
    assert answers["yes"] > 20 and answers["yes"] / (answers["yes"] + answers["no"]) == pytest.approx(0.5, abs=0.1)


def test_one_is_not_the_answer_to_most_counts(scenes):
    questions = [ask(scene, rng_for("any", seed)) for seed, scene in enumerate(scenes * 2)]
    answers = Counter(question.answer for question in questions if question.kind == "count")
    assert set(answers) == set(words.NUMBERS)
    assert answers["one"] < 0.5 * answers.total()


@pytest.mark.parametrize("absence", ABSENCES)
def test_absent_things_are_absent(scenes, absence):
    asked = 0
    for seed, scene in enumerate(scenes):
        if question := existence(scene, rng_for("absent", seed), absence):
            assert (question.answer, question.about) == ("no", ())
            check_existence(scene, question.text, "no")
            names = [NAMES[word] for word in tokens(question.text) if word in NAMES]
            if absence == "popular":
                assert len(names) <= 1
            else:
                assert len(names) == 2
            asked += 1
    assert asked > 1000


def test_present_things_are_present(scenes):
    questions = [existence(scene, rng_for("present", seed)) for seed, scene in enumerate(scenes)]
    answers = Counter(question.answer for question in questions if question)
    assert answers.keys() == {"yes"} and answers["yes"] > 0.97 * len(scenes)


def test_adversarial_absences_cross_what_is_there(make_thing, make_scene):
    both = make_scene(make_thing("circle", x=12.0), make_thing("square", x=50.0, colour="blue"), kind="pair")
    single = make_scene(make_thing("circle"), kind="single")
    crossed, near = set(), set()
    for seed in range(80):
        for scene, found in ((both, crossed), (single, near)):
            question = existence(scene, random.Random(seed), "adversarial")
            found.add(tuple(NAMES[word] for word in tokens(question.text) if word in NAMES))
    assert crossed == {("red", "square"), ("blue", "circle")}
    assert len(near) > 10 and all((c == "red") != (s == "circle") for c, s in near)


def test_random_absences_are_of_every_sort(make_thing, make_scene):
    scene, named = make_scene(make_thing("circle"), kind="single"), set()
    for seed in range(900):
        names = [NAMES[w] for w in tokens(existence(scene, random.Random(seed), "random").text) if w in NAMES]
        named.add(tuple(names))
    assert named == {(c, s) for c in words.COLOURS for s in words.SHAPES} - UNSEEN_PAIRS - {("red", "circle")}


@pytest.mark.parametrize("kind", ["existence", "count"])
def test_training_is_never_asked_about_unseen_pairs_and_their_test_about_no_others(scenes, kind):
    def pairs(scenes, rules):
        for _, question in _asked(scenes, kind, rules):
            names = [NAMES[word] for word in tokens(question.text) if word in NAMES]
            if len(names) == 2:
                yield tuple(names)

    assert not set(pairs(scenes, Rules())) & UNSEEN_PAIRS
    unseen = Rules(pairs="unseen")
    shown = [Sampler(rng_for("unseen", seed), unseen).scene("pair") for seed in range(150)]
    assert set(pairs(shown, unseen)) <= UNSEEN_PAIRS


def test_questions_are_typed_in_many_ways(scenes):
    texts = [question.text for kind in KINDS for _, question in _asked(scenes, kind)]
    said = Counter(token for text in texts for token in tokens(text))
    variants = ("color", "colour", "gray", "grey", "big", "large", "discs", "what", "which")
    assert min(said[word] for word in variants) > 20
    endings = Counter(text[-1] if text[-1] in "?." else "" for text in texts)
    assert set(endings) == {"?", ".", ""} and endings[""] > 0.15 * len(texts)
    assert sum(text.isupper() for text in texts) > 0.02 * len(texts)
    assert sum(text.islower() for text in texts) > 0.3 * len(texts)
    assert sum(text[0].isupper() and not text.isupper() for text in texts) > 0.3 * len(texts)
    assert not any("{" in text or "  " in text for text in texts)
    assert len({text.lower().strip("?.") for text in texts}) > 3000
