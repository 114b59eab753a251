"""Which optimisation profile an engine runs a batch with, and how a larger batch is split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mghft_export.errors import EngineError
from mghft_export.runtime.session import Shape


@dataclass(frozen=True)
class Extent:
    """The shapes of one input in one profile."""

    minimum: Shape
    optimum: Shape
    maximum: Shape

    def holds(self, shape: Shape) -> bool:
        """Whether this shape runs."""
        return len(shape) == len(self.maximum) and all(
            low <= size <= high for low, size, high in zip(self.minimum, shape, self.maximum, strict=True)
        )


Profile = Mapping[str, Extent]
"""By input name."""


def choose_profile(profiles: Sequence[Profile], shapes: Mapping[str, Shape]) -> int:
    """The number of the profile for these input shapes.

    Of the profiles that hold them, this is the one with the smallest maximum; ties go to the closest optimum.

    Raises:
        EngineError: none holds them; says what the engine takes.
    """
    fitting = [
        number
        for number, profile in enumerate(profiles)
        if all(profile[name].holds(shape) for name, shape in shapes.items())
    ]
    if not fitting:
        raise _no_profile(profiles, shapes)

    def cost(number: int) -> tuple[int, float]:
        extents = [(profiles[number][name], shape) for name, shape in shapes.items()]
        largest = sum(math.prod(extent.maximum) for extent, _ in extents)
        # Twice too large and half as large are equally far.
        distance = sum(
            abs(math.log(math.prod(shape) / math.prod(extent.optimum))) for extent, shape in extents
        )
        return largest, distance

    return min(fitting, key=cost)


def batch_sizes(profiles: Sequence[Profile], shapes: Mapping[str, Shape]) -> tuple[range, ...]:
    """The batches that run, for inputs of these shapes whatever their first dimension is; the largest range first.

    Raises:
        EngineError: no profile takes the other dimensions.
    """
    found = set()
    for profile in profiles:
        extents = [(profile[name], shape) for name, shape in shapes.items()]
        least = max(extent.minimum[0] for extent, _ in extents)
        most = min(extent.maximum[0] for extent, _ in extents)
        if least <= most and all(extent.holds((least, *shape[1:])) for extent, shape in extents):
            found.add((most, least))
    if not found:
        raise _no_profile(profiles, shapes)
    return tuple(range(least, most + 1) for most, least in sorted(found, reverse=True))


def text_lengths(longest: int, most: int) -> Iterator[int]:
    """Lengths for texts of up to `longest` tokens, in the order in which to try them.

    First 16, 24, 32, 48, 64 and so on, and `most`: an engine keeps what it has prepared for a few shapes only, so its
    texts get a few lengths, and padding is masked. Then all others, for an engine whose profiles have none of these.
    """
    length = 16
    while length < most:
        yield from (size for size in (length, length * 3 // 2) if longest <= size < most)
        length *= 2
    yield most
    yield from range(longest, most)


def common_sizes(
    first: tuple[range, ...] | None, second: tuple[range, ...] | None
) -> tuple[range, ...] | None:
    """The batches that two branches both run."""
    if first is None or second is None:
        return second if first is None else first
    both = {
        (min(a.stop, b.stop), max(a.start, b.start))
        for a in first
        for b in second
        if max(a.start, b.start) < min(a.stop, b.stop)
    }
    return tuple(range(start, stop) for stop, start in sorted(both, reverse=True))


def split_batch(count: int, sizes: tuple[range, ...] | None) -> list[slice]:
    """Rows 0 to `count` in as few runs as possible, of nearly equal size where one range of batches does.

    Args:
        sizes: the batches that run; None where any does.

    Raises:
        EngineError: so many rows cannot be made of these batches.
    """
    if not count:
        return []
    parts = [count] if sizes is None else _parts(count, sizes)
    starts = [sum(parts[:number]) for number in range(len(parts))]
    return [slice(start, start + part) for start, part in zip(starts, parts, strict=True)]


def _parts(count: int, sizes: tuple[range, ...]) -> list[int]:
    """The fewest sizes that add up to `count`."""
    parts = (
        _shortest_sum(count, sizes)
        if len(sizes) > 1
        else [1] * math.ceil(count / sizes[0][-1])
        if sizes
        else []
    )
    number = len(parts)
    if any(number * size[0] <= count <= number * size[-1] for size in sizes):
        return [count // number + (part < count % number) for part in range(number)]
    if len(sizes) < 2 or not parts:
        listed = " or ".join(map(_span, sizes)) or "none"
        raise EngineError(
            f"a batch of {count} cannot be made of the engines' batches ({listed}); "
            "build them with a minimum batch of 1, `mghft-export trt --batch 1,8,32`"
        )
    return parts


def _shortest_sum(count: int, sizes: tuple[range, ...]) -> list[int]:
    """By dynamic programming over all smaller sums; empty where there is no such sum."""
    shortest: list[float] = [0] + [math.inf] * count
    last = [0] * (count + 1)
    for total in range(1, count + 1):
        for part in (part for size in sizes for part in size if part <= total):
            if shortest[total - part] + 1 < shortest[total]:
                shortest[total], last[total] = shortest[total - part] + 1, part
    parts = []
    while count and last[count]:
        parts.append(last[count])
        count -= last[count]
    return parts


def _span(sizes: range) -> str:
    return str(sizes.start) if len(sizes) == 1 else f"{sizes.start} to {sizes.stop - 1}"


def _no_profile(profiles: Sequence[Profile], shapes: Mapping[str, Shape]) -> EngineError:
    name, shape = next(iter(shapes.items()))
    taken = " or ".join(
        f"{_written(profile[name].minimum)} to {_written(profile[name].maximum)}" for profile in profiles
    )
    return EngineError(
        f"the engine has no profile for {name} {_written(shape)}, it takes {taken}; "
        "build it with wider --batch or --text-length"
    )


def _written(shape: Shape) -> str:
    return "x".join(map(str, shape))
