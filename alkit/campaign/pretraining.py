"""Pretraining in a campaign: once, before the first training; the campaign's folder keeps its networks."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from alkit.campaign import target_set
from alkit.campaign.build_proposers import pool_molecules
from alkit.campaign.candidates import in_domain
from alkit.campaign.round_state import RoundState
from alkit.config.baseline import PretrainingConfig
from alkit.config.proposer import PoolConfig
from alkit.errors import CampaignError
from alkit.models.graphs import training_settings
from alkit.models.pretraining import FEWEST, Pretraining, pretrain
from alkit.models.store import Provenance, load_model
from alkit.molecules.molecule import without_stereo

if TYPE_CHECKING:
    from surrogate import Ensemble

_TOGETHER = 100  # molecules between two commits
_FOLDER = "pretrained"


def pretrained(state: RoundState, section: PretrainingConfig) -> Ensemble:
    """The networks that have learned the cheap level; fitted once and kept in the campaign's folder.

    Cheap energies are single points at the input geometry, at a level of their own. They never count as the
    campaign's labels and never mix with them. Molecules of the test and validation sets are left out, and
    without a validation set the start's training molecules too. So are the stereoisomers of all these.

    Raises:
        CampaignError: too few molecules are left that have the level.
    """
    from surrogate import Ensemble

    folder, what = state.folder / _FOLDER, Pretraining.of(section)
    if (folder / "ensemble.json").exists():  # written last: the ensemble is complete
        return Ensemble.load(folder)
    smiles = _molecules(state, what, section.file)
    if len(smiles) < FEWEST:
        raise CampaignError(
            f"pretraining finds {len(smiles)} molecules that have {what.name} and neither test nor "
            f"calibrate; {FEWEST} are the least, so give more seeds, or pretraining.file."
        )
    graphs = state.molecules.graphs(smiles)
    readings = [state.molecules.readings(one, what.needed) for one in smiles]
    members = state.config.surrogate.members if state.config.start.validation else 1
    settings = state.molecules.builder.settings
    with state.progress.steps("pretraining", members * what.epochs) as advance:
        ensemble = pretrain(
            settings,
            training_settings(state.config),
            graphs=graphs,
            targets=what.targets(graphs, readings),
            epochs=what.epochs,
            members=members,
            seed=state.seed("pretrain", round_=0),
            on_epoch=lambda member, epoch, row: advance(1),
        )
    source, conformers = state.config.surrogate.geometry, state.config.surrogate.conformers
    builder = state.molecules.builder
    Provenance(
        source, state.config.seed, conformers, what.name, len(smiles), baselines=builder.baselines
    ).save(folder)
    ensemble.save(folder)
    return ensemble


def cheap_labels(state: RoundState) -> int:
    """How many cheap labels the campaign's pretraining took; 0 without one."""
    return load_model(folder)[1].labels if (folder := state.folder / _FOLDER).exists() else 0


def _molecules(state: RoundState, what: Pretraining, file: Path | None) -> list[str]:
    """Random molecules with geometry and cheap energies, as many as the campaign file says if there are."""
    held_out, molecules, offered = _held_out(state), list[str](), _offered(state, file)
    with state.progress.steps(f"cheap energies, {what.name}", min(what.molecules, len(offered))) as advance:
        order = state.rng("pretrain", round_=0).permutation(len(offered))
        usable = (offered[i] for i in order if without_stereo(offered[i]) not in held_out)
        # No label is paid for where one fails; the next molecule takes its place.
        while drawn := list(islice(usable, min(what.molecules - len(molecules), _TOGETHER))):
            failed = state.molecules.place(drawn, advance, also=what.needed)
            molecules += [smiles for smiles in drawn if smiles not in failed]
            state.ledger.commit()  # before the fit, so that a kill loses none
    return molecules


def _held_out(state: RoundState) -> set[str]:
    """Stereo-free SMILES of what judges or calibrates."""
    judging = {"test", "validation"} if state.config.start.validation else {"test", "training"}
    start = state.ledger.candidates(round_=0)
    return {without_stereo(one.smiles) for one in start if one.role in judging}


def _offered(state: RoundState, file: Path | None) -> list[str]:
    """Canonical SMILES in the domain: of a file, or of seeds, target set and pools."""
    if file is not None:
        from alkit.datasets import read_smiles

        return in_domain(read_smiles(file), state.molecules.domain)
    domain, pooled = state.molecules.domain, list[str]()
    for part in state.config.proposers:
        if isinstance(part, PoolConfig) and part.file is not None:
            pooled += in_domain(pool_molecules(state, part), domain)
    return list(dict.fromkeys([*state.molecules.seeds, *target_set.known(state), *pooled]))
