"""Names for imaginary people: given names that suit anybody, surnames put together."""

import numpy as np


def _words(line: str) -> list[str]:
    return line.split()


_GIVEN = _words(
    "Adair Addison Alex Andrea Ari Ashley Avery Bailey Blair Cameron Casey Charlie Dana Devon "
    "Drew Eden Ellis Emery Finley Francis Gray Harley Hayden Indigo Jamie Jesse Jordan Jules "
    "Kai Kelly Kim Lane Lee Lennon Logan Marlow Morgan Nico Noel Parker Perry Quinn Reese "
    "Riley River Robin Rowan Sage Sasha Sidney Sky Taylor Toby Val Winter"
)
_BEGIN = _words(
    "Alder Amber Ash Birch Black Bramble Bright Clay Copper Crow Dun East Elder Fair Fern Fox "
    "Frost Gold Green Hawk Hazel Heather Hollow Iron Juniper Lark Linden Maple Marsh May Moon "
    "North Oak Otter Raven Red Rowan Silver Stone Summer Thorn West White Wild Willow Winter"
)
_END = _words(
    "bank beck bourne bridge brook by cliff combe cote dale den field ford gate grove ham hill "
    "holm hurst land ley mere moor ridge shaw stead ton wall water well wick wood worth"
)
LIMIT = len(_GIVEN) * len(_BEGIN) * len(_END)


def draw_names(people: int, seed: int) -> list[str]:
    """``people`` different names, at most :data:`LIMIT`, as ``First_Last``.

    More people with the same seed keep the names of the first ones.
    """
    order = np.random.default_rng([seed, 0]).permutation(LIMIT)[:people]
    names = []
    for number in order.tolist():
        rest, given = divmod(number, len(_GIVEN))
        end, begin = divmod(rest, len(_BEGIN))
        names.append(f"{_GIVEN[given]}_{_BEGIN[begin]}{_END[end]}")
    return names
