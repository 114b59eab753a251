"""A tiny vision-language model of transformers, made here and run for real, describes stickers in batches."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from interpretation.conftest import Invoke
from PIL import Image

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.local_model import LocalModel
from mghft_export.interpretation.protocol import Answer, Request, Unanswered
from mghft_export.stickers.views import VIEWS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("torchvision")

DESCRIPTION = {
    "intention": "to tell a friend that one comes over for dinner tonight",
    "style": "flat vector art with thick outlines and few bright colours",
    "main_role": "a small grey cat with a red scarf and a bell",
    "gesture": "sits upright, waves with its left paw, mouth wide open",
}
ANSWER = json.dumps(DESCRIPTION)
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} answer :{% endif %}"
)


def make_model(folder: Path, *, template: str | None = TEMPLATE) -> Path:
    """A LLaVA of two layers with random weights; its vocabulary has a whole answer as one token."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [
        "<pad>",
        "<unk>",
        "<s>",
        "</s>",
        "<image>",
        "answer",
        ":",
        "sticker",
        "style",
        "view",
        ".",
        ANSWER,
    ]
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )
    processor = transformers.LlavaProcessor(
        image_processor=transformers.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=fast,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=16,
            projection_dim=16,
        ),
        text_config=transformers.LlamaConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        ),
        image_token_index=4,
        image_seq_length=4,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = 3
    model.generation_config.pad_token_id = 0
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def teach(folder: Path) -> Path:
    """Train the model until it says the whole answer, and then ends, whatever it is shown."""
    local = LocalModel(str(folder), device="cpu")
    model = local._network.float().train()
    images = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue", "white")]
    inputs = local._inputs([Request((image,), "sticker view .", VIEWS) for image in images])
    answer = torch.tensor([[11, 3]] * len(images))
    ids = torch.cat([inputs["input_ids"], answer], 1)
    mask = torch.cat([inputs["attention_mask"], torch.ones_like(answer)], 1)
    labels = ids.clone()
    labels[:, :-2] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(25):
        loss = model(
            input_ids=ids, attention_mask=mask, pixel_values=inputs["pixel_values"], labels=labels
        ).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture(scope="module")
def taught_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(make_model(tmp_path_factory.mktemp("models") / "taught-llava"))


def requests() -> list[Request]:
    """Of different lengths, with one and three images, so that the batch is padded."""
    red, green, blue = (Image.new("RGB", (60, 44), colour) for colour in ("red", "green", "blue"))
    return [
        Request((red,), "sticker", VIEWS),
        Request((green, red, blue), "sticker view style view . sticker", VIEWS),
        Request((blue,), "style view sticker .", VIEWS),
    ]


def ask(model: LocalModel, asked: list[Request]) -> list[Any]:
    return asyncio.run(model.answer(asked))


def test_a_batch_says_what_single_requests_say(random_model: Path) -> None:
    model = LocalModel(str(random_model), device="cpu", max_tokens=12)
    together = ask(model, requests())
    alone = [ask(model, [request])[0] for request in requests()]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert [answer.tokens_in for answer in together] == [answer.tokens_in for answer in alone]
    assert together[1].tokens_in > together[0].tokens_in + 2 * 4  # two images more
    assert all(isinstance(answer, Answer) and answer.tokens_out <= 12 for answer in together)


def test_answers_depend_on_the_image(random_model: Path) -> None:
    model = LocalModel(str(random_model), device="cpu", max_tokens=1)
    prompts = [
        Request((Image.new("RGB", (40, 40), (7 * n, 255 - 7 * n, n)),), "sticker", VIEWS) for n in range(36)
    ]
    inputs = model._inputs(prompts)
    with torch.inference_mode():
        logits = model._network(**inputs).logits[:, -1]
    assert torch.unique(logits, dim=0).shape[0] > 1


def test_the_folder_names_the_model_and_its_answer_ends(taught_model: Path) -> None:
    model = LocalModel(str(taught_model), device="cpu", max_tokens=5)
    (answer,) = ask(model, [Request((Image.new("RGB", (40, 40), "red"),), "sticker view .", VIEWS)])
    assert model.model == "taught-llava"
    assert answer.text == ANSWER
    assert (answer.tokens_out, answer.cut) == (2, False)


def test_stickers_are_described_by_a_local_model(
    invoke: Invoke, taught_model: Path, stickers: Path, tmp_path: Path
) -> None:
    arguments = ("--local", taught_model, "--device", "cpu", "--batch", 5, "--max-tokens", 64, "--json")
    outcome = invoke("interpret", stickers, "-o", tmp_path / "texts.jsonl", *arguments)
    assert outcome.status == 0, outcome.err
    result = json.loads(outcome.out)
    assert (result["described"], result["usage"]["requests"]) == (12, 12)
    assert result["source"]["model"] == "taught-llava"
    rows = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text().splitlines()]
    assert all(DESCRIPTION["gesture"] in row["text"] for row in rows)


def test_a_model_that_says_nothing_useful_fails_each_sticker(
    invoke: Invoke, random_model: Path, stickers: Path, tmp_path: Path
) -> None:
    arguments = ("--local", random_model, "--device", "cpu", "--attempts", 2, "--max-tokens", 64, "--json")
    outcome = invoke("interpret", stickers, "-o", tmp_path / "texts.jsonl", *arguments)
    result = json.loads(outcome.out)
    assert (outcome.status, result["described"], len(result["failures"])) == (1, 0, 12)
    assert "it was missing" in result["failures"][0]["reason"]


def test_a_request_that_the_template_refuses_fails_alone(tmp_path: Path) -> None:
    refusing = (
        "{% if 'odd' in messages | string %}{{ raise_exception('too odd\\nfor me') }}{% endif %}" + TEMPLATE
    )
    model = LocalModel(str(make_model(tmp_path / "m", template=refusing)), device="cpu", max_tokens=2)
    asked = requests()
    asked[1] = Request(asked[1].frames, "odd", VIEWS)
    good, refused, last = ask(model, asked)
    assert refused == Unanswered("too odd")
    assert isinstance(good, Answer)
    assert isinstance(last, Answer)


def no_memory_of_the_cpu(*_: object, **__: object) -> None:
    torch.empty(1 << 58)


def no_memory_of_a_gpu(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("without_memory", [no_memory_of_the_cpu, no_memory_of_a_gpu])
@pytest.mark.parametrize("step", ["_inputs", "_answer"])
def test_too_little_memory_is_one_sentence(
    random_model: Path, monkeypatch: pytest.MonkeyPatch, without_memory: Any, step: str
) -> None:
    model = LocalModel(str(random_model), device="cpu", max_tokens=2)
    monkeypatch.setattr(model, step, without_memory)
    with pytest.raises(
        InterpreterError, match="3 stickers at once do not fit on cpu; choose a smaller --batch"
    ):
        ask(model, requests())


def test_damaged_weights_are_one_sentence(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InterpreterError, match=r"are damaged .*fetch it again") as error:
        LocalModel(str(folder), device="cpu")
    assert "\n" not in str(error.value)


def test_what_is_no_model_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    bert = transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    bert.save_pretrained(tmp_path / "bert")
    for name in (str(tmp_path / "empty"), "nobody/no-such-model", str(tmp_path / "bert")):
        with pytest.raises(InterpreterError) as error:
            LocalModel(name, device="cpu")
        assert "\n" not in str(error.value)
        assert name in str(error.value)


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "plain", template=None)
    with pytest.raises(InterpreterError, match="has no chat template"):
        LocalModel(str(folder), device="cpu")


def test_a_device_that_is_not_there_is_one_sentence(random_model: Path) -> None:
    with pytest.raises(InterpreterError, match="cannot be put on"):
        LocalModel(str(random_model), device="cuda:77")
