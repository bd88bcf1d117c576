"""A saved surrogate in the form of an MLflow model: signature, example, requirements."""

from __future__ import annotations

import importlib.metadata as metadata
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alkit
from alkit.models import served

_LOADER = "alkit.models.served"  # MLflow calls its `_load_pyfunc`; nothing is pickled
_NEEDED = ("mlflow", "numpy", "pandas", "rdkit", "schnetpack", "torch")


@contextmanager
def packed(folder: Path, logged: Any, run: str) -> Iterator[Path]:
    """Pack the files of a model as MLflow expects them, for the length of the block.

    Args:
        folder: of the model, as `alkit.models.store` has it.
        logged: the entity that MLflow has made for it.
        run: the id of the run that made it.

    Yields:
        The folder with the files.
    """
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema

    surrogate = served.Served(folder)
    signature = ModelSignature(
        inputs=Schema(_columns(surrogate.inputs)), outputs=Schema(_columns(surrogate.outputs))
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model"
        mlflow.pyfunc.save_model(
            path,
            loader_module=_LOADER,
            data_path=str(folder),
            signature=signature,
            input_example=surrogate.example(),
            pip_requirements=_requirements(),
            mlflow_model=Model(model_id=logged.model_id, run_id=run, artifact_path=logged.artifact_location),
            metadata={"level": surrogate.level, "tier": surrogate.tier, "labels": surrogate.labels},
        )
        yield path


def _columns(kinds: dict[str, str]) -> list[Any]:
    from mlflow.types import ColSpec

    return [ColSpec(kind, name) for name, kind in kinds.items()]


def _requirements() -> list[str]:
    return [f"alkit=={alkit.__version__}", *(f"{name}=={metadata.version(name)}" for name in _NEEDED)]
