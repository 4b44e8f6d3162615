"""How far two versions of a model agree on one picture: for the gateway's shadow mode and the check before a rollout.

A version answers with its likeliest classes only, so what is compared is two ranked lists of (id, probability).
"""

from collections.abc import Sequence
from dataclasses import dataclass

Ranking = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two rankings have in common.

    Attributes:
        same_first: Whether the likeliest class is the same one.
        overlap: The share of the first few classes that both name among their first few, whatever the order: 0 to 1.
        difference: How far apart the two put the probability of the class that the first ranking has first: 0 to 1.
            One that does not name the class counts as giving it 0.
        total_variation: Half the sum of all differences of probability, 0 (alike) to 1 (nothing in common): the most
            by which the two can differ on any set of classes (Levin, Peres and Wilmer, Markov Chains and Mixing
            Times, 2nd edition 2017, section 4.1). What a ranking leaves unnamed counts as one class of its own. Where
            rankings are cut the whole distributions may be nearer to each other, as a class that one of them does not
            name counts as 0 there, or further apart, as what both leave unnamed may lie on different classes; by no
            more than the probability that the two leave unnamed, taken together.
    """

    same_first: bool
    overlap: float
    difference: float
    total_variation: float


def agreement(first: Ranking, second: Ranking, *, top: int = 3) -> Agreement:
    """Compare two rankings of one picture.

    Args:
        first: (id, probability) of each class, likeliest first; that of the version that is trusted.
        second: The same of the other version.
        top: How many of the first classes `overlap` looks at.

    Returns:
        The figures. Two empty rankings agree in everything.

    Raises:
        ValueError: `top` is below 1.
    """
    if top < 1:
        raise ValueError(f"top is {top}; it must be at least 1.")
    ours, theirs = dict(first), dict(second)
    wanted = {ident for ident, _ in first[:top]}
    found = {ident for ident, _ in second[:top]}
    # Two lists shorter than `top` are compared as far as they go.
    places = max(len(wanted), len(found), 1)
    named = sum(abs(ours.get(ident, 0.0) - theirs.get(ident, 0.0)) for ident in ours.keys() | theirs.keys())
    unnamed = abs(sum(ours.values()) - sum(theirs.values()))
    likeliest = first[0][0] if first else None
    return Agreement(
        same_first=(second[0][0] if second else None) == likeliest,
        overlap=len(wanted & found) / places if wanted or found else 1.0,
        difference=0.0 if likeliest is None else abs(ours[likeliest] - theirs.get(likeliest, 0.0)),
        total_variation=(named + unnamed) / 2,
    )
