"""alkit: active learning that makes a molecular-energy surrogate chemically accurate from few labels.

``from alkit import Campaign`` is the Python face of ``alkit campaign run``. Names load on first use, so that
``import alkit`` costs neither torch nor RDKit.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

import lazy_loader

# Threads that wait must sleep: spinning ones, the default of torch's OpenMP and of numpy's OpenBLAS, slow
# work tenfold and more as soon as anything else runs on the machine (docs/decisions/007). Each reads its
# variable once, when it loads. 4 is the shortest that OpenBLAS lets a thread spin: 2⁴ cycles.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from alkit.acquisition.base import Acquisition as Acquisition
    from alkit.acquisition.base import Pool as Pool
    from alkit.acquisition.base import RoundContext as RoundContext
    from alkit.campaign.campaign import Campaign as Campaign
    from alkit.campaign.result import Result as Result
    from alkit.config.loading import load_config as load_config
    from alkit.config.schema import CampaignConfig as CampaignConfig
    from alkit.datasets.store import Dataset as Dataset
    from alkit.errors import AlkitError as AlkitError
    from alkit.errors import ConfigError as ConfigError
    from alkit.errors import LabelError as LabelError
    from alkit.molecules.molecule import Molecule as Molecule
    from alkit.proposers.base import ProposalContext as ProposalContext
    from alkit.proposers.base import Proposer as Proposer
    from alkit.reporting.events import StageEvent as StageEvent
    from alkit.simulators.base import Label as Label
    from alkit.simulators.base import Level as Level
    from alkit.simulators.base import Simulator as Simulator
    from alkit.simulators.base import SimulatorSpec as SimulatorSpec
    from generator import GraphGAN as GraphGAN
    from surrogate import Ensemble as Ensemble
else:  # a type checker must not see __getattr__, which would let every name pass
    _own, _, _names = lazy_loader.attach(
        __name__,
        submod_attrs={
            "acquisition.base": ["Acquisition", "Pool", "RoundContext"],
            "campaign.campaign": ["Campaign"],
            "reporting.events": ["StageEvent"],
            "campaign.result": ["Result"],
            "config.loading": ["load_config"],
            "config.schema": ["CampaignConfig"],
            "datasets.store": ["Dataset"],
            "errors": ["AlkitError", "ConfigError", "LabelError"],
            "molecules.molecule": ["Molecule"],
            "proposers.base": ["ProposalContext", "Proposer"],
            "simulators.base": ["Label", "Level", "Simulator", "SimulatorSpec"],
        },
    )
    _OF_OTHERS = {"Ensemble": "surrogate", "GraphGAN": "generator"}
    __all__ = sorted([*_names, *_OF_OTHERS])

    def __getattr__(name):
        return getattr(import_module(_OF_OTHERS[name]), name) if name in _OF_OTHERS else _own(name)

    def __dir__():
        return [*__all__, "__version__"]
