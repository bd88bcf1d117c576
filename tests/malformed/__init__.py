"""Malformed inputs of every command that reads a file, and what a command must do with them.

Shared by `test_malformed.py` (a few examples of each command) and `benchmarks/malformed.py` (200 of each). An
input is a folder of files and a command line; none of them is right by accident. One module a kind of file.
"""

from collections.abc import Callable

from hypothesis.strategies import SearchStrategy

from malformed.campaign_files import campaign_run, campaign_validate
from malformed.campaign_folders import (
    campaign_ask,
    campaign_fork,
    campaign_ledger,
    campaign_report,
    campaign_status,
    campaign_tell,
)
from malformed.cases import Case, Outcome, run
from malformed.commands import data_import, import_files, import_models, label, study, train
from malformed.generators import generate, generator_evaluate, generator_train
from malformed.models import export_models, predict_models
from malformed.samples import samples
from malformed.structures import predict_molecules

__all__ = ["COMMANDS", "Case", "Outcome", "run", "samples"]

COMMANDS: dict[str, Callable[[], SearchStrategy[Case]]] = {
    "campaign run": campaign_run,
    "campaign validate": campaign_validate,
    "campaign status": campaign_status,
    "campaign report": campaign_report,
    "campaign ledger": campaign_ledger,
    "campaign ask": campaign_ask,
    "campaign tell": campaign_tell,
    "campaign fork": campaign_fork,
    "train": train,
    "predict (models)": predict_models,
    "predict (molecules)": predict_molecules,
    "label": label,
    "export": export_models,
    "import": import_models,
    "data import": data_import,
    "data import (files)": import_files,
    "study 2d-vs-3d": study,
    "generate": generate,
    "generator train": generator_train,
    "generator evaluate": generator_evaluate,
}
