"""Learning cheap labels first: an ensemble fitted to GFN2-xTB energies, where later fits start from."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alkit.baselines.base import create_baseline
from alkit.campaign.candidates import held_out_graphs
from alkit.campaign.round_state import RoundState
from alkit.errors import CampaignError
from alkit.models.graphs import GFN2, training_settings
from alkit.models.store import Provenance, load_model
from alkit.molecules.molecule import without_stereo
from alkit.simulators.base import Level

if TYPE_CHECKING:
    from surrogate import Ensemble

_VALIDATION_SHARE = 0.1
_FEWEST = 10
_COMMIT_EVERY = 20


def pretrained(state: RoundState) -> Ensemble:
    """The ensemble of the cheap labels; fitted once and kept in the campaign's folder.

    The cheap labels are single points at the input geometry, at a level of their own: they never count as the
    campaign's labels and never mix with them. Molecules of the test and validation sets are left out, with
    their stereoisomers.

    Raises:
        CampaignError: too few molecules are left that xTB can compute.
    """
    from surrogate import Ensemble

    folder = _folder(state)
    if (folder / "ensemble.json").exists():  # written last: the ensemble is complete
        return Ensemble.load(folder)
    smiles = _molecules(state)
    if len(smiles) < _FEWEST:
        raise CampaignError(
            f"learning: pretrain finds {len(smiles)} molecules beyond the test and validation sets that "
            f"{_level().method} can compute; {_FEWEST} are the least, so give more seeds."
        )
    graphs = state.molecules.graphs(smiles)
    energies = np.array([state.molecules.gfn2_energy(one) for one in smiles])
    cut, members = max(2, round(_VALIDATION_SHARE * len(smiles))), state.config.surrogate.members
    settings = training_settings(state.config)
    with state.progress.steps("pretraining", members * settings.epochs) as advance:
        ensemble = Ensemble.fit(
            state.molecules.builder.settings,
            settings,
            training=(graphs[cut:], energies[cut:]),
            validation=(graphs[:cut], energies[:cut]),
            members=members,
            seed=state.seed("pretrain"),
            on_epoch=lambda member, epoch, row: advance(1),
        )
    source, conformers = state.config.surrogate.geometry, state.config.surrogate.conformers
    Provenance(source, state.config.seed, conformers, str(_level()), len(smiles)).save(folder)
    ensemble.save(folder)
    return ensemble


def cheap_labels(state: RoundState) -> int:
    """How many cheap labels the campaign's pretraining took; 0 without one."""
    return load_model(_folder(state))[1].labels if _folder(state).exists() else 0


def _level() -> Level:
    return create_baseline(GFN2).level


def _folder(state: RoundState) -> Path:
    return state.folder / "pretrained"


def _molecules(state: RoundState) -> list[str]:
    """Random molecules with geometry and xTB label, as many as the campaign file says if there are."""
    held_out, molecules = held_out_graphs(state.ledger.known().values()), list[str]()
    seeds, wanted = state.molecules.seeds, state.config.surrogate.pretrain_molecules
    with state.progress.steps(f"cheap labels at {_level()}", min(wanted, len(seeds))) as advance:
        order = state.rng("pretrain").permutation(len(seeds))
        usable = (seeds[i] for i in order if without_stereo(seeds[i]) not in held_out)
        # No label is paid for where one fails; the next molecule takes its place.
        while drawn := list(islice(usable, min(wanted - len(molecules), _COMMIT_EVERY))):
            failed = state.molecules.place(drawn, advance, also=(GFN2,))
            molecules += [smiles for smiles in drawn if smiles not in failed]
            state.ledger.commit()  # before the fit, so that a kill loses none
    return molecules
