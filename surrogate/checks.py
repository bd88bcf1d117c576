"""Checks of the data that an ensemble learns from."""

from collections.abc import Sequence
from dataclasses import replace

from surrogate.errors import SurrogateError
from surrogate.inputs import AS_THEY_ARE, Graph, input_widths
from surrogate.settings import ModelSettings


def check_disjoint(training: Sequence[Graph], validation: Sequence[Graph]) -> None:
    """Whether no molecule is in both sets.

    Raises:
        SurrogateError: some are.
    """
    shared = {_content(graph) for graph in training} & {_content(graph) for graph in validation}
    if shared:
        raise SurrogateError(
            f"{len(shared)} molecules are in training and validation; each belongs in one set."
        )


def _content(graph: Graph) -> tuple[bytes, ...]:
    """All that the network sees: the same for two graphs of one molecule with its atoms in one order."""
    parts = (
        graph.numbers,
        graph.senders,
        graph.receivers,
        graph.vectors,
        graph.atom_inputs,
        graph.pair_inputs,
    )
    return tuple(part.tobytes() for part in parts)


def check_inputs(settings: ModelSettings, graphs: Sequence[Graph]) -> None:
    """Whether molecules come with the further inputs that the network was built for.

    Raises:
        SurrogateError: they do not.
    """
    wanted = input_widths(settings.inputs)
    for i, graph in enumerate(graphs):
        sizes = graph.atom_inputs.shape[1], graph.pair_inputs.shape[1], len(graph.whole_inputs)
        if sizes != wanted:
            raise SurrogateError(
                f"Molecule {i} has {sizes[0]} inputs per atom, {sizes[1]} per pair and {sizes[2]} of its "
                f"own; the inputs {list(settings.inputs)} take {wanted[0]}, {wanted[1]} and {wanted[2]}."
            )


def check_warm_start(
    earlier: ModelSettings, earlier_members: int, settings: ModelSettings, members: int
) -> None:
    """Whether weights go on in the network they were trained in; elements and target may differ.

    Raises:
        SurrogateError: they do not, or there are too few of them.
    """
    if earlier_members < members:
        raise SurrogateError(f"members is {members}, but the ensemble to start from has {earlier_members}.")
    if set(earlier.inputs) - AS_THEY_ARE and not set(settings.elements) <= set(earlier.elements):
        raise SurrogateError(
            f"The ensemble to start from has standardised inputs of {', '.join(earlier.elements)}; "
            f"{', '.join(settings.elements)} are asked for."
        )
    if _network(earlier) != _network(settings):
        raise SurrogateError(
            f"The ensemble to start from has {earlier}, but {settings} is asked for; use the same."
        )


def _network(settings: ModelSettings) -> ModelSettings:
    """Settings of the network alone: without elements, target, and uncertainty beside a head for it.

    Networks do not see the numbers of a molecule that AIMNet2 has learned; earlier revisions had none.
    """
    heads = tuple(kind for kind in settings.uncertainty if kind == "variance")
    seen = tuple(name.removesuffix("-learned") for name in settings.inputs)
    return replace(settings, elements=(), baseline="", uncertainty=heads, inputs=seen)  # type: ignore[arg-type]
