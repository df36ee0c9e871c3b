# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which recordings are learnt from, and which tell how well: whole ones where there are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liquid_control.bags.errors import BagError
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.spans import duration
from liquid_control.learn.train.recipe import Recipe

# A whole recording is held out of few ones only if it is at most this share of all.
LARGEST_SHARE = 1 / 3
# Less tells nothing, s.
SHORTEST_PART = 2.0
# Less tells how well, but not which epoch was best, s: what it prefers is chance.
LONG_ENOUGH_TO_CHOOSE = 30.0


@dataclass(frozen=True)
class Split:
    """Episodes to learn from, to choose the weights by, and to report on only.

    Attributes:
        held_out: what the validation is, in words.
        chooses: whether the validation is long enough to choose the weights by.
    """

    train: list[Episode]
    validation: list[Episode]
    test: list[Episode]
    held_out: str
    chooses: bool

    @property
    def parts(self) -> dict[str, list[Episode]]:
        """By their names in a model card."""
        return {'training': self.train, 'validation': self.validation, 'test': self.test}


def split_episodes(episodes: Sequence[Episode], recipe: Recipe) -> Split:
    """Whole episodes to evaluate on, the others to learn from, and frames to report a score on.

    Of a few episodes one is held out, or the end of the longest where that one would be much of
    what there is.

    Raises:
        BagError: there is nothing to learn from.
    """
    cut = [episode.cut(recipe.frames) for episode in episodes]
    usable = [episode for episode in cut if len(episode.taught(recipe.weights))]
    if not usable:
        raise BagError(
            'a policy drove in all of these recordings: take over from it where it should do '
            'better, or record a person; `weights` in the recipe decide what is learnt from'
        )
    # By digest: which episodes are held out must not depend on names or their order.
    usable.sort(key=lambda episode: episode.digest)
    train, validation, held_out = _divide(usable, recipe)
    test = [e.cut(recipe.test_frames) for e in episodes] if recipe.test_frames else []
    seconds = sum(duration(episode.taught(recipe.weights)) for episode in validation)
    return Split(train, validation, test, held_out, seconds >= LONG_ENOUGH_TO_CHOOSE)


def _divide(usable: list[Episode], recipe: Recipe) -> tuple[list[Episode], list[Episode], str]:
    if recipe.holdout == 0:
        return usable, [], 'nothing, as holdout 0 says'
    seconds = [duration(episode.taught(recipe.weights)) for episode in usable]
    total = sum(seconds)
    count = min(round(recipe.holdout * len(usable)), len(usable) - 1)
    if count == 0 and len(usable) > 1 and seconds[0] <= LARGEST_SHARE * total:
        count = 1
    if count:
        held = usable[:count]
        names = ', '.join(sorted(episode.name for episode in held[:5]))
        more = f' and {count - 5} more' if count > 5 else ''
        words = f'{count} of {len(usable)} recordings, {sum(seconds[:count]):.1f} of {total:.1f} s'
        return usable[count:], held, f'{words}: {names}{more}'
    longest = usable[seconds.index(max(seconds))]
    length = max(recipe.holdout * total, SHORTEST_PART)
    if length > LARGEST_SHARE * max(seconds):
        return usable, [], f'nothing, {total:.1f} s in all are too few'
    border_ns = _from_the_end(longest, recipe, length)
    before = longest.within(longest.start_ns, border_ns)
    after = longest.within(border_ns, longest.end_ns)
    train = [before if episode is longest else episode for episode in usable]
    return train, [after], f'the end of {longest.name}, {length:.1f} of {total:.1f} s'


def _from_the_end(episode: Episode, recipe: Recipe, seconds: float) -> int:
    """From when on there is so much to learn from, ns."""
    rest = round(seconds * 1e9)
    for start_ns, end_ns in reversed(episode.taught(recipe.weights).tolist()):
        if end_ns - start_ns >= rest:
            return int(end_ns) - rest
        rest -= end_ns - start_ns
    return episode.start_ns
