"""The wrapper gives the library's numbers, encodes nothing twice, names unknown words and refuses broken folders."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor, ViTConfig, ViTModel

from mmexplorer.errors import Refusal
from mmexplorer.models import clip as clip_module
from mmexplorer.models import clip_bulk, clip_loading
from mmexplorer.models.clip import load
from mmexplorer.placement import CPU
from mmexplorer.presets import preset

PRESET = replace(preset("toy-clip"), label="Tiny")
TEXTS = ["red circle", "a photo of the blue square and the red triangle", "green", "two circle left"]


@pytest.fixture(params=["clip", "siglip"])
def folder(request, clip_folder, siglip_folder):
    return clip_folder if request.param == "clip" else siglip_folder


@pytest.fixture
def clip(folder):
    return load(PRESET, folder, CPU)


@pytest.fixture
def copied(clip_folder, tmp_path):
    return shutil.copytree(clip_folder, tmp_path / "copy")


def library_embeddings(folder, pictures, texts):
    """What plain transformers says, one picture and one text at a time, so without any padding between texts."""
    model, processor = AutoModel.from_pretrained(folder, dtype=torch.float32), AutoProcessor.from_pretrained(folder)
    padding = "max_length" if model.config.model_type == "siglip" else True
    images, rows = [], []
    with torch.inference_mode():
        for picture, text in zip(pictures, texts, strict=True):
            pixels = processor.image_processor(picture, return_tensors="pt")
            output = model(**pixels, **processor.tokenizer(text, padding=padding, return_tensors="pt"))
            images.append(output.image_embeds.numpy())
            rows.append(output.text_embeds.numpy())
    return np.concatenate(images), np.concatenate(rows)


def test_embeddings_are_the_librarys_in_order(folder, clip, pictures):
    images, texts = library_embeddings(folder, pictures[:4], TEXTS)
    np.testing.assert_allclose(clip.embed_images(pictures[:4]), images, atol=2e-6)
    np.testing.assert_allclose(clip.embed_texts(TEXTS), texts, atol=2e-6)
    assert clip.embed_images(pictures).dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(clip.embed_images(pictures), axis=1), 1, atol=1e-6)
    assert np.abs(texts[0] - texts[2]).max() > 0.05  # a comparison of equal rows would prove nothing


def test_many_texts_in_batches_come_back_in_order(clip, monkeypatch):
    monkeypatch.setattr(clip_module, "TEXT_BATCH", 3)
    texts = [" ".join(["red"] * n + ["square"]) for n in (5, 1, 9, 3, 7, 2, 4)]
    together = clip.embed_texts(texts)
    fresh = np.concatenate([clip._encode_texts([text]) for text in texts])
    np.testing.assert_allclose(together, fresh, atol=2e-6)


def test_many_pictures_in_batches_come_back_in_order(clip, pictures, monkeypatch):
    monkeypatch.setattr(clip_module, "IMAGE_BATCH", 2)
    together = clip.embed_images(pictures)
    fresh = np.concatenate([list(clip._encode_images([picture])) for picture in pictures])
    np.testing.assert_allclose(together, fresh, atol=2e-6)


def test_nothing_is_encoded_twice(clip, pictures):
    first = clip.embed_images(pictures[:2])
    clip.embed_texts(TEXTS[:2])
    assert (clip.image_forward_count, clip.text_forward_count) == (2, 2)
    again = clip.embed_images([pictures[1].copy(), pictures[0], pictures[1]])  # an equal copy is the same picture
    assert np.array_equal(again, first[[1, 0, 1]])
    clip.embed_texts([*TEXTS, TEXTS[3]])
    assert (clip.image_forward_count, clip.text_forward_count) == (2, 4)


@pytest.fixture(params=[1, 3])
def torch_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_prepared_pictures_get_the_same_embeddings_and_fill_no_cache(clip, pictures, torch_threads):
    prepare = clip.preparation()
    bulk = clip.embed_prepared([prepare(picture) for picture in pictures])
    assert bulk.dtype == np.float32 and clip.image_forward_count == len(pictures) and not clip._images
    np.testing.assert_allclose(bulk, clip.embed_images(pictures), atol=2e-6)
    np.testing.assert_allclose(clip.embed_prepared([prepare(pictures[1])]), bulk[1:2], atol=2e-6)  # fewer than threads


def test_bulk_embedding_leaves_the_threads_of_others_as_they_were(clip, pictures, torch_threads):
    clip_bulk._single_threads.cache_clear()  # so that the threads are started here
    clip.embed_prepared([clip.preparation()(picture) for picture in pictures])
    with ThreadPoolExecutor(1) as pool:
        assert torch.get_num_threads() == pool.submit(torch.get_num_threads).result() == torch_threads


@pytest.mark.parametrize("change", [{}, {"resample": 2}, {"do_resize": False}])
def test_threads_prepare_pictures_as_the_processor_does(folder, tmp_path, pictures, change):
    changed = shutil.copytree(folder, tmp_path / "changed")
    config = json.loads((changed / "processor_config.json").read_text())
    config["image_processor"] |= change
    (changed / "processor_config.json").write_text(json.dumps(config))
    if config["image_processor"].get("do_resize") is False:
        pictures = pictures[:1]  # of the model's size
    clip = load(PRESET, folder, CPU)
    clip.image_processor = AutoProcessor.from_pretrained(changed).image_processor
    expected = [clip.pixel_values([picture])[0].numpy() for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(clip.preparation(), pictures * 5))
    assert all(np.array_equal(one, expected[i % len(pictures)]) for i, one in enumerate(prepared))


def test_pictures_of_equal_bytes_and_other_shape_differ(clip):
    pixels = np.random.default_rng(1).integers(0, 256, (32, 16, 3), dtype=np.uint8)
    clip.embed_images([Image.fromarray(pixels), Image.fromarray(pixels.reshape(16, 32, 3))])
    assert clip.image_forward_count == 2


def test_the_cache_is_bounded_and_drops_the_least_recently_used(clip, monkeypatch):
    clip._texts.limit = 2
    clip.embed_texts(["red", "green"])
    clip.embed_texts(["red"])
    clip.embed_texts(["blue"])  # green goes
    assert list(clip._texts) == ["red", "blue"]
    assert len(clip.embed_texts(TEXTS)) == 4  # more at once than the cache holds
    assert len(clip._texts) == 2


def test_unknown_words_are_named_once_as_typed(clip):
    assert clip.unknown_words(["a Zorg circle", "red", "ZORG floop zorg"]) == ("Zorg", "ZORG", "floop", "zorg")
    assert clip.unknown_words(["Red CIRCLE"]) == ()


class Slow:
    """A tokenizer that cannot tell where in the text its tokens come from, such as one of SentencePiece."""

    is_fast = False

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, text, **options):
        assert "return_offsets_mapping" not in options
        return self.tokenizer(text, **options)

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)


def test_a_tokenizer_without_offsets_names_the_same_words(clip):
    clip.tokenizer = Slow(clip.tokenizer)
    assert clip.unknown_words(["a Zorg circle", "floop red"]) == ("Zorg", "floop")


def test_a_byte_level_tokenizer_knows_every_word(copied):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    end = "<|endoftext|>"
    vocabulary = {token: i for i, token in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), end])}
    bytes_ = Tokenizer(models.BPE(vocabulary, []))
    bytes_.pre_tokenizer, bytes_.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    bytes_.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, vocabulary[end])])
    clip = load(PRESET, copied, CPU)
    clip.tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_, unk_token=end, eos_token=end, pad_token=end)
    assert clip.tokens("é") == ("Ġ", "Ã", "©", end)
    assert clip.unknown_words(["zorg \N{SNOWMAN}"]) == ()
    clip.tokenizer = Slow(clip.tokenizer)
    assert clip.unknown_words(["floop \N{SNOWMAN}"]) == ()


def test_tokens_show_what_the_model_reads(clip):
    assert clip.tokens("a RED zorg") == ("[BOS]", "a", "red", "[UNK]", "[EOS]")


def test_texts_beyond_the_context_are_cut_and_said_so(clip):
    fits = " ".join(["red"] * (clip.context - 2))
    assert clip.truncated([fits, fits + " red"]) == (False, True)
    assert len(clip.tokens(fits + " red blue")) == clip.context
    assert clip.tokens(fits + " red")[-1] == "[EOS]"
    np.testing.assert_allclose(*clip.embed_texts([fits, fits + " red blue"]), atol=1e-6)


def test_seen_is_the_part_that_the_box_covers(clip):
    """A picture whose red is x and green is y, so that the seen pixels tell where they came from."""
    width, height = 96, 64
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    image = Image.fromarray(np.stack([x * 2, y * 2, 0 * x], axis=-1).astype(np.uint8))
    seen, box = clip.seen(image)
    assert seen.size == (32, 32)
    assert box == ((16, 0, 80, 64) if not clip.is_siglip else (0, 0, 96, 64))
    pixels = np.asarray(seen).astype(float)
    cell_x, cell_y = (box[2] - box[0]) / 32, (box[3] - box[1]) / 32
    for column, row in [(5, 9), (20, 27)]:
        assert pixels[row, column, 0] / 2 == pytest.approx(box[0] + (column + 0.5) * cell_x, abs=1.0)
        assert pixels[row, column, 1] / 2 == pytest.approx(box[1] + (row + 0.5) * cell_y, abs=1.0)


def test_seen_is_what_the_model_is_fed(clip, pictures):
    for picture in pictures:
        seen, _ = clip.seen(picture)
        np.testing.assert_allclose(clip.pixel_values([seen]).numpy(), clip.pixel_values([picture]).numpy(), atol=0.02)


def test_looking_inside_sees_the_same_embedding_and_leaves_no_trace(clip, pictures):
    before = clip.embed_images(pictures)
    implementation = clip.model.vision_model.config._attn_implementation
    seen = clip.look_inside(pictures[1])
    np.testing.assert_allclose(seen.embedding.detach().numpy(), before[1], atol=2e-6)
    tokens = 16 + seen.first_patch
    assert [tuple(state.shape) for state in seen.hidden_states] == [(1, tokens, 32)] * 3
    assert [tuple(weight.shape) for weight in seen.attentions] == [(1, 2, tokens, tokens)] * 3
    for weights in (*seen.attentions, *([seen.pooling] if clip.is_siglip else [])):
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
    assert implementation != "eager" and clip.model.vision_model.config._attn_implementation == implementation
    clip._images.clear()
    assert np.array_equal(clip.embed_images(pictures), before)
    assert all(parameter.grad is None for parameter in clip.model.parameters())


def test_the_embedding_depends_on_every_weight_it_reports(clip, pictures):
    seen = clip.look_inside(pictures[0])
    inside = [*seen.hidden_states, *seen.attentions, *([seen.pooling] if clip.is_siglip else [])]
    gradients = torch.autograd.grad(seen.embedding[0], inside)
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_the_attention_implementation_is_restored_after_an_error(clip, pictures, monkeypatch):
    implementation = clip.model.vision_model.config._attn_implementation

    def fail(*args, **options):
        raise RuntimeError("broken")

    monkeypatch.setattr(clip.model.vision_model, "forward", fail)
    with pytest.raises(RuntimeError, match="broken"):
        clip.look_inside(pictures[0])
    assert clip.model.vision_model.config._attn_implementation == implementation


def test_patch_embeddings_of_clip_take_the_value_path(clip_folder, pictures):
    """Attention over a single token is its value, so the last block is x + out(v(norm(x))) and then the MLP."""
    clip = load(PRESET, clip_folder, CPU)
    vision, block = clip.model.vision_model, clip.model.vision_model.encoder.layers[-1]
    with torch.inference_mode():
        x = clip.look_inside(pictures[0]).hidden_states[-1][0, 1:]
        x = x + block.self_attn.out_proj(block.self_attn.v_proj(block.layer_norm1(x)))
        x = x + block.mlp(block.layer_norm2(x))
        expected = torch.nn.functional.normalize(clip.model.visual_projection(vision.post_layernorm(x)), dim=-1)
        torch.testing.assert_close(clip.patch_embeddings(pictures[0]), expected, atol=1e-5, rtol=0)


def test_patch_embeddings_of_siglip_are_one_per_patch(siglip_folder, pictures):
    clip = load(PRESET, siglip_folder, CPU)
    patches = clip.patch_embeddings(pictures[0])
    assert patches.shape == (16, 32)
    torch.testing.assert_close(patches.norm(dim=-1), torch.ones(16))


def test_what_the_model_says_about_itself(clip_folder, siglip_folder):
    clip, siglip = load(PRESET, clip_folder, CPU), load(PRESET, siglip_folder, CPU)
    assert (clip.activation, clip.logit_bias, clip.patches, clip.context) == ("softmax", 0.0, (4, 4), 16)
    assert clip.logit_scale == pytest.approx(np.exp(2.6592), rel=1e-6)
    assert (siglip.activation, siglip.logit_bias, siglip.context) == ("sigmoid", -1.5, 64)
    assert siglip.logit_scale == pytest.approx(np.exp(2.3), rel=1e-6)
    assert clip.memory_bytes > 4 * sum(p.numel() for p in clip.model.parameters())  # buffers count


def test_half_precision_files_run_in_single_precision(copied):
    AutoModel.from_pretrained(copied, dtype=torch.float32).half().save_pretrained(copied)
    assert json.loads((copied / "config.json").read_text())["dtype"] == "float16"
    assert load(PRESET, copied, CPU).model.dtype == torch.float32


# Broken checkpoints


def edit_weights(folder, change):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def cut_weights(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def pickle_weights(folder):
    torch.save(AutoModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def edit_json(folder, name, change):
    file = folder / name
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def grow_crop(config):
    config["image_processor"]["crop_size"] = {"height": 40, "width": 40}


FAULTS = {
    "weights cut short": cut_weights,
    "weights empty": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "weights gone": lambda folder: (folder / "model.safetensors").unlink(),
    "pickled weights only": pickle_weights,
    "a weight missing": lambda folder: edit_weights(folder, lambda w: w.pop("visual_projection.weight")),
    "a weight of another shape": lambda folder: edit_weights(
        folder, lambda w: w.update({"visual_projection.weight": torch.zeros(3, 3)})
    ),
    "scale not a number": lambda folder: edit_weights(folder, lambda w: w["logit_scale"].fill_(float("nan"))),
    "scale infinite": lambda folder: edit_weights(folder, lambda w: w["logit_scale"].fill_(1e4)),
    "config no JSON": lambda folder: (folder / "config.json").write_text("{"),
    "config gone": lambda folder: (folder / "config.json").unlink(),
    "tokenizer gone": lambda folder: (folder / "tokenizer.json").unlink(),
    "tokenizer no JSON": lambda folder: (folder / "tokenizer.json").write_text("[[["),
    "vocabulary too small": lambda folder: edit_weights(
        folder,
        lambda w: (
            edit_json(folder, "config.json", lambda c: c["text_config"].update(vocab_size=10)),
            w.update({"text_model.embeddings.token_embedding.weight": torch.zeros(10, 32)}),
        ),
    ),
    "pictures of another size": lambda folder: edit_json(folder, "processor_config.json", grow_crop),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_folder_is_refused_in_one_sentence(copied, fault):
    FAULTS[fault](copied)
    with pytest.raises(Refusal) as refusal:
        load(PRESET, copied, CPU)
    sentence = str(refusal.value)
    assert "Tiny" in sentence and "\n" not in sentence and len(sentence) < 400 and sentence.endswith(".")


def test_another_family_is_refused_by_name(tmp_path):
    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ViTModel(config).save_pretrained(tmp_path)
    with pytest.raises(Refusal, match="type 'vit', not a CLIP"):
        load(PRESET, tmp_path, CPU)


def test_weights_that_are_not_numbers_are_refused_when_used(copied, pictures):
    edit_weights(copied, lambda w: w["visual_projection.weight"].fill_(float("nan")))
    clip = load(PRESET, copied, CPU)
    with pytest.raises(Refusal, match="not finite"):
        clip.embed_images(pictures)


def test_running_out_of_memory_is_not_called_damage(clip_folder, monkeypatch):
    def fail(*args, **options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(clip_loading.AutoModel, "from_pretrained", fail)
    with pytest.raises(RuntimeError, match="allocate memory"):
        load(PRESET, clip_folder, CPU)


def test_a_missing_package_is_named(clip_folder, monkeypatch):
    def fail(*args, **options):
        raise ImportError(
            "SiglipTokenizer requires the SentencePiece library. Check out the instructions on the\npage."
        )

    monkeypatch.setattr(clip_loading.AutoProcessor, "from_pretrained", fail)
    with pytest.raises(Refusal, match=r"not installed: SiglipTokenizer requires the SentencePiece library\.$"):
        load(PRESET, clip_folder, CPU)
