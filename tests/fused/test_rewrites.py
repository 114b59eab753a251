"""Each rewrite of the fused form equals the plain form, in float64."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from mghft_export.fused import folding  # noqa: E402
from mghft_export.fused.fusion import FusedInjection, SingleQueryFusion  # noqa: E402
from mghft_export.fused.mghft import fuse  # noqa: E402
from mghft_export.fused.text import FusedBert, FusedText, PlainEncoder  # noqa: E402
from mghft_export.fused.vision import FusedAttention, FusedStage, patches  # noqa: E402
from mghft_export.model.fusion import FusionBlock, soft_attend  # noqa: E402
from mghft_export.model.mghft import MGHFT, as_released  # noqa: E402
from mghft_export.model.pyramid import Attention, Pyramid  # noqa: E402
from mghft_export.model.text import encode_views  # noqa: E402


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


def randomise(module):
    """Random parameters everywhere: biases and norms included, which initialisation leaves at 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.double().parameters():
        noise = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
        scale = 0.3 if parameter.ndim < 2 else parameter.shape[-1] ** -0.5
        parameter.data.mul_(0 if parameter.ndim > 1 else 1).add_(scale * noise)
    return module.eval().requires_grad_(False)


@pytest.fixture
def double_model(tiny_config):
    return randomise(MGHFT(tiny_config))


def tokens(config, batch=3, views=4, length=12):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1000, 2000, (batch, views, length), generator=generator)
    lengths = torch.randint(3, length + 1, (batch, views, 1), generator=generator)
    mask = (torch.arange(length) < lengths).long()
    return ids * mask, mask


@pytest.mark.parametrize("views", ["joined", "separate"])
@pytest.mark.parametrize("pooling", ["all", "masked"])
@pytest.mark.parametrize("locals_", [(1, 1, 1, 0), (1, 0, 1, 0), (1, 0, 0, 0)])
def test_whole_model(tiny_config, views, pooling, locals_):
    config = replace(tiny_config, views=views, pooling=pooling, locals=locals_, image_size=(96, 128))
    model = randomise(MGHFT(config))
    image = torch.randn(3, 3, 96, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ids, mask = tokens(config)
    if views == "joined":
        ids, mask = (x[:, :1].expand(-1, 4, -1) for x in (ids, mask))
    released = as_released(model)(image, ids, mask)
    fused = fuse(model)
    close(fused(image, ids[:, : fused.distinct_views], mask[:, : fused.distinct_views]), released.logits)
    # The vision branch hands the fusion head the very tokens of the released form, in its order.
    for (parts, class_token, _), wanted in zip(
        fused.vision.stages(image), released.stages.values(), strict=True
    ):
        close(parts, wanted.parts)
        close(class_token, wanted.class_token)


def test_folded_linear_layers():
    x = torch.randn(5, 6, dtype=torch.float64)
    norm, first, second = randomise(nn.LayerNorm(6)), randomise(nn.Linear(6, 4)), randomise(nn.Linear(4, 3))
    close(folding.scaled(first, 0.25)(x), 0.25 * first(x))
    close(folding.composed(second, first)(x), second(first(x)))
    close(folding.stacked(first, folding.scaled(first, 2.0))(x), torch.cat([first(x), 2 * first(x)], dim=-1))
    close(folding.after_norm(norm, first)(nn.functional.layer_norm(x, (6,))), first(norm(x)))


@pytest.mark.parametrize("side", [2, 4])
def test_convolution_as_a_linear_layer_of_patches(side):
    convolution = randomise(nn.Conv2d(5, 7, kernel_size=side, stride=side))
    grid = (2 * side, 3 * side)
    x = torch.randn(2, grid[0] * grid[1], 5, dtype=torch.float64)
    wanted = convolution(x.transpose(1, 2).unflatten(2, grid)).flatten(2).transpose(1, 2)
    close(folding.patch_linear(convolution)(patches(x, grid, side)), wanted)


@pytest.mark.parametrize("sr_ratio", [1, 2])
@pytest.mark.parametrize("class_token", [True, False])
def test_attention(sr_ratio, class_token):
    attention = randomise(Attention(32, heads=2, sr_ratio=sr_ratio, class_token=class_token))
    x = torch.randn(2, 24 + class_token, 32, dtype=torch.float64)
    wanted, weights = attention(x, (4, 6), "as_released")
    found, query, key = FusedAttention(attention)(x, (4, 6))
    close(found, wanted)
    close(torch.softmax(query @ key.transpose(-2, -1), dim=-1), weights)


def test_soft_fusion_of_local_tokens_is_an_addition(tiny_config):
    pyramid = randomise(Pyramid(tiny_config))
    parts = torch.randn(2, 9, tiny_config.embed_dims[1], dtype=torch.float64)
    text = torch.randn(2, tiny_config.shared_dim, dtype=torch.float64)
    projected = pyramid.cross_proj2(text)
    wanted = pyramid.local_proj2(soft_attend(parts, projected.unsqueeze(1).expand_as(parts)))
    found, _, _ = FusedInjection(pyramid, 1)(parts, parts[:, 0], text)
    close(found, wanted)


def test_single_query_fusion_is_token_0_of_the_block():
    block, projection = randomise(FusionBlock(32, 4, 64, 0.1)), randomise(nn.Linear(24, 32))
    x, text = torch.randn(3, 50, 32, dtype=torch.float64), torch.randn(3, 8, 24, dtype=torch.float64)
    close(SingleQueryFusion(block, projection)(x, text), block(x, projection(text))[:, 0])


def test_positions_are_resized_once(double_model, tiny_config):
    image = torch.randn(1, 3, *tiny_config.image_size, dtype=torch.float64)
    pyramid = double_model.vision_model
    embedded = pyramid.patch_embed1(image)
    wanted = torch.cat([pyramid.cls_token1.expand(1, -1, -1), embedded], dim=1) + pyramid.positions(0)
    close(FusedStage(pyramid, 0).patch_embed(image), wanted)


@pytest.mark.parametrize("pooling", ["all", "masked"])
def test_text_branch(tiny_config, pooling):
    config = replace(tiny_config, pooling=pooling)
    model = randomise(MGHFT(config))
    ids, mask = tokens(config)
    wanted = model.l_proj(encode_views(as_released(model).text_model, ids, mask, pooling))
    fused = FusedText(model.text_model, model.l_proj, config)
    assert isinstance(fused.encoder, FusedBert)
    close(fused(ids.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, (3, 4)), wanted)


def test_masked_pooling_does_not_depend_on_padding(tiny_config):
    model = randomise(MGHFT(replace(tiny_config, pooling="masked")))
    fused = fuse(model).text
    ids, mask = tokens(tiny_config, batch=1, views=1, length=12)
    longer = torch.cat([ids[0], torch.zeros(1, 20, dtype=torch.int64)], dim=1)
    close(fused(longer, (longer > 0).long()), fused(ids[0], mask[0]))


def test_another_encoder_of_transformers_runs_as_it_is(tiny_config):
    fields = {**tiny_config.text_encoder, "model_type": "electra", "embedding_size": 32}
    config = replace(tiny_config, text_encoder=fields)
    model = randomise(MGHFT(config))
    ids, mask = tokens(config)
    fused = FusedText(model.text_model, model.l_proj, config)
    assert isinstance(fused.encoder, PlainEncoder)
    wanted = model.l_proj(encode_views(model.text_model, ids, mask, config.pooling))
    close(fused(ids.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, (3, 4)), wanted)


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


@torch.inference_mode()
def test_no_map_of_all_patches_by_all_patches_is_made(tiny_config):
    config = replace(tiny_config, image_size=(224, 224))
    model = MGHFT(config).eval()
    image = torch.randn(1, 3, 224, 224)
    height, width = config.grid(0)
    square = (height * width + 1) ** 2
    with Largest() as released:
        as_released(model).vision_model(image)
    with Largest() as fused:
        fuse(model).vision(image)
    assert released.elements >= square
    assert fused.elements * 4 < square


def test_compiles_as_one_graph(tiny_model, tiny_config):
    fused = fuse(tiny_model)
    image = torch.randn(2, 3, *tiny_config.image_size)
    ids, mask = tokens(tiny_config, batch=2, views=fused.distinct_views)
    with torch.inference_mode():
        wanted = fused(image, ids, mask)
        found = torch.compile(fused, fullgraph=True, backend="aot_eager")(image, ids, mask)
    torch.testing.assert_close(found, wanted)


def test_fusing_leaves_the_model_as_it_was(tiny_model):
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    fuse(tiny_model)
    for name, value in tiny_model.state_dict().items():
        assert torch.equal(value, before[name]), name
