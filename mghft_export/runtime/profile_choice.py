"""Choose the optimisation profile that an engine runs a batch with, and split batches that are too large."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mghft_export.errors import EngineError
from mghft_export.runtime.session import Shape


@dataclass(frozen=True)
class Extent:
    """Smallest, optimal and largest shape of one input in one profile."""

    minimum: Shape
    optimum: Shape
    maximum: Shape

    def holds(self, shape: Shape) -> bool:
        """Whether this shape is within the profile."""
        return len(shape) == len(self.maximum) and all(
            low <= size <= high for low, size, high in zip(self.minimum, shape, self.maximum, strict=True)
        )


Profile = Mapping[str, Extent]
"""The extent of each input, by the input's name."""


def choose_profile(profiles: Sequence[Profile], shapes: Mapping[str, Shape]) -> int:
    """The number of the profile for these input shapes.

    Of the profiles that hold the shapes, it is the one with the smallest maximum; ties go to the closest optimum.

    Raises:
        EngineError: no profile holds them; the message says what the engine takes.
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
        # Twice the optimum and half the optimum are equally far away.
        distance = sum(
            abs(math.log(math.prod(shape) / math.prod(extent.optimum))) for extent, shape in extents
        )
        return largest, distance

    return min(fitting, key=cost)


def batch_sizes(profiles: Sequence[Profile], shapes: Mapping[str, Shape]) -> tuple[range, ...]:
    """The batch sizes that run for inputs of these shapes, with any first dimension. The largest range comes first.

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

    First come 16, 24, 32, 48, 64 and so on, and `most`. An engine keeps only a few shapes ready, so texts get only few
    lengths; padding is masked. Then come all other lengths, for an engine that has no profile for any of these.
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
    """The batch sizes that two branches both run; None for all."""
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
    """Split rows 0 to `count` into as few runs as possible. The runs have nearly equal sizes if one range allows it.

    Args:
        sizes: the batch sizes that run; None for all.

    Raises:
        EngineError: no sum of these batch sizes gives `count`.
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
    """The fewest sizes that add up to `count`, by dynamic programming over all smaller sums; empty if none do."""
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
