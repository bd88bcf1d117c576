"""Surrogates in use: graphs of molecules, saved models, predictions, metrics. Names load on first use."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from alkit.models.prediction import PredictionRow as PredictionRow
    from alkit.models.prediction import predict_smiles as predict_smiles
    from alkit.models.prediction import predict_structures as predict_structures
    from alkit.models.store import Provenance as Provenance
    from alkit.models.store import load_model as load_model
else:  # a type checker must not see __getattr__, which would let every name pass
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "prediction": ["PredictionRow", "predict_smiles", "predict_structures"],
            "store": ["Provenance", "load_model"],
        },
    )
