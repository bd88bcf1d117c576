"""alkit.datasets.splits: no molecule is lost or doubled, and stereoisomers never straddle."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alkit.datasets.splits import cut_between_groups, grouped_order, grouped_split, stereo_groups

SMILES = ["C[C@H](F)O", "C[C@@H](F)O", "CCO", "F/C=C/F", "F/C=C\\F", "CC(F)O", "CCN"]
GROUPS = st.lists(st.integers(1, 4), min_size=1, max_size=12).map(
    lambda sizes: [list(range(sum(sizes[:k]), sum(sizes[: k + 1]))) for k in range(len(sizes))]
)


def test_stereoisomers_are_one_group_and_ions_are_in_none():
    groups = stereo_groups([*SMILES, "[NH4+]"])
    assert sorted(groups.values()) == [[0, 1, 5], [2], [3, 4], [6]]
    assert list(stereo_groups(SMILES, [4, 2, 3]).values()) == [[4, 3], [2]]


@given(GROUPS, st.lists(st.integers(0, 6), min_size=1, max_size=3))
def test_a_split_keeps_every_molecule_and_every_group(groups, sizes):
    sets = grouped_split(groups, sizes)
    assert sorted(i for part in sets for i in part) == list(range(sum(map(len, groups))))
    sides = {i: k for k, part in enumerate(sets) for i in part}
    assert all(len({sides[i] for i in group}) == 1 for group in groups)
    if sum(map(len, groups)) >= sum(sizes) + 3 * len(sizes):  # groups hold 4 at most
        assert all(size <= len(part) < size + 4 or size == 0 for part, size in zip(sets, sizes, strict=False))


@given(GROUPS, st.integers(0, 1000))
def test_an_order_keeps_groups_together(groups, seed):
    order = grouped_order(groups, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(order)))
    for group in groups:
        start = order.index(group[0])
        assert order[start : start + len(group)] == group


@given(GROUPS, st.integers(0, 40))
def test_a_cut_lies_between_groups(groups, cut):
    names = [str(k) for k, group in enumerate(groups) for _ in group]
    cut = min(cut, len(names))
    place = cut_between_groups(names, cut)
    assert cut <= place < cut + 4
    assert place in (0, len(names)) or names[place] != names[place - 1]
