"""MLflow: one parent run for the campaign, one child run for each round."""

from __future__ import annotations

import hashlib
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alkit import interrupts
from alkit.config.masking import masked
from alkit.errors import ConfigError, TrackingError
from alkit.reporting.tracking_store import (
    artifacts_of,
    bring_along,
    cannot_be_opened,
    open_client,
    with_password,
)

if TYPE_CHECKING:
    import pandas

Ending = Literal["FINISHED", "FAILED", "KILLED", "SCHEDULED"]  # the last: it waits, and will go on
_FOREIGN = re.compile(r"""[/:.%"']""")  # what a logged model's name must not have
BEST = "best"  # the alias of a registered model's best version
_MOST = 100  # parameters, and tags, that MLflow takes at once
_KIND = "mlflow.experimentKind"
_OF_MODELS = "custom_model_development"
_NOTE = "mlflow.note.content"  # what MLflow shows as the description
_EXPERIMENT = (
    "Campaigns of alkit: a run each, with a run for each of its rounds below it. If this page shows traces, "
    "choose *Model training* at its upper left; runs and models are there."
)


class Tracker:
    """Writes to a tracking store with explicit run ids, so that a resumed campaign goes on in its own runs.

    Args:
        uri: MLflow tracking store; with ``sqlite:///…`` the artifacts go to ``mlartifacts`` beside it.
        experiment: made if it does not exist.

    Raises:
        ConfigError: the store cannot be opened.
    """

    def __init__(self, uri: str, experiment: str):
        uri = self._uri = with_password(uri)
        self._client, shown = open_client(uri), masked(uri)
        try:
            existing = self._client.get_experiment_by_name(experiment)
            if existing and existing.lifecycle_stage != "active":
                raise ConfigError(
                    f"tracking.experiment {experiment} was deleted in {shown}; restore it or name another."
                )
            if existing:
                bring_along(uri, existing.artifact_location)
            self.experiment = existing.experiment_id if existing else self._create(uri, experiment)
            if existing and _KIND not in existing.tags:  # made by hand, or by an earlier MLflow
                self._client.set_experiment_tag(self.experiment, _KIND, _OF_MODELS)
        except ConfigError:
            raise
        except Exception as error:  # MLflow raises its own, SQLAlchemy's or requests' error here
            raise cannot_be_opened(uri, error) from error

    def _create(self, uri: str, experiment: str) -> str:
        return self._client.create_experiment(
            experiment,
            artifact_location=artifacts_of(uri),
            tags={_KIND: _OF_MODELS, _NOTE: _EXPERIMENT},
        )

    def open_run(self, name: str, *, parent: str | None = None, resume: str | None = None) -> str:
        """The id of a new run, or of ``resume``, which is set running again."""
        from mlflow.entities import RunStatus

        with _reported():
            if resume is not None and self._exists(resume):
                self._client.update_run(resume, status=RunStatus.to_string(RunStatus.RUNNING))
                return resume
        tags = {"mlflow.runName": name, "mlflow.source.name": "alkit", "mlflow.source.type": "LOCAL"}
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        with _reported():
            return self._client.create_run(self.experiment, tags=tags).info.run_id

    def _exists(self, run: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(run).info.lifecycle_stage == "active"
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False  # deleted for good by the user, between two runs of the campaign

    def close_run(self, run: str, ending: Ending) -> None:
        """End a run with MLflow's status: finished, failed, killed, or scheduled for one that waits."""
        with _reported():
            self._client.set_terminated(run, status=ending)

    def log_params(self, run: str, params: dict[str, Any]) -> None:
        """Log nested settings, flattened to dotted names.

        MLflow keeps a parameter's first value; a later value becomes the tag ``now.<name>``.
        """
        from mlflow.entities import Param, RunTag

        values = {key: str(value)[:500] for key, value in _flat(params).items()}
        with _reported():
            known = self._client.get_run(run).data.params
            pairs = [Param(key, value) for key, value in values.items() if key not in known]
            now = {key: value for key, value in values.items() if known.get(key, value) != value}
            tags = [RunTag(f"now.{key}", value) for key, value in now.items()]
            for start in range(0, max(len(pairs), len(tags)), _MOST):
                part = slice(start, start + _MOST)
                self._client.log_batch(run, params=pairs[part], tags=tags[part])

    def set_tags(self, run: str, tags: Mapping[str, str], *, description: str = "") -> None:
        """Set tags, and what MLflow shows as the run's description; both may be set again."""
        from mlflow.entities import RunTag

        note = {_NOTE: description} if description else {}
        pairs = [RunTag(key, value[:5000]) for key, value in {**tags, **note}.items() if value]
        with _reported():
            self._client.log_batch(run, tags=pairs)

    def log_metrics(self, run: str, metrics: dict[str, float], *, step: int = 0) -> None:
        """Log numbers by name at one step of a run."""
        self.log_series(run, [(step, metrics)])

    def log_series(self, run: str, rows: list[tuple[int, dict[str, float]]]) -> None:
        """Metrics of many steps in as few calls as MLflow allows."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [
            Metric(name, float(value), now, step) for step, metrics in rows for name, value in metrics.items()
        ]
        with _reported():
            for start in range(0, len(points), 1000):
                self._client.log_batch(run, metrics=points[start : start + 1000])

    def log_files(self, run: str, path: Path, folder: str | None = None) -> None:
        """A file, or all files of a folder, as artifacts."""
        with _reported():
            if path.is_dir():
                self._client.log_artifacts(run, str(path), folder)
            else:
                self._client.log_artifact(run, str(path), folder)

    def log_datasets(self, run: str, frames: Mapping[str, pandas.DataFrame], *, source: Path) -> None:
        """Say which data a run has used.

        Args:
            run: its id.
            frames: by what they were used for, such as "training"; the last column is the label.
            source: the file that they come from.
        """
        from mlflow.data.dataset_source_registry import resolve_dataset_source
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        with _reported(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow knows two kinds of source for a path, of one name
            place = resolve_dataset_source(str(source))
            inputs = []
            for context, frame in frames.items():
                label = frame.columns[-1]
                given = from_pandas(frame, source=place, targets=label, name=context, digest=_digest(frame))
                entity = given._to_mlflow_entity()
                inputs.append(DatasetInput(entity, [InputTag("mlflow.data.context", context)]))
            self._client.log_inputs(run, inputs)

    def log_model(self, run: str, name: str, folder: Path, values: Mapping[str, float], *, step: int) -> str:
        """Log a model that a run has made, unless the run has one of this step already; returns its id.

        Args:
            run: its id.
            name: of the model.
            folder: of the model, as `alkit.models.store` has it.
            values: its errors, which MLflow shows beside it.
            step: as of the run's metrics.
        """
        from mlflow.entities import LoggedModelOutput, Metric

        from alkit.reporting.logged_model import packed

        with _reported():
            outputs = self._client.get_run(run).outputs
            for one in outputs.model_outputs if outputs else []:
                if one.step == step:
                    return one.model_id
            model = self._client.create_logged_model(
                self.experiment, name=_FOREIGN.sub("-", name), source_run_id=run
            )
            with packed(folder, model, run) as files:
                self._client.log_model_artifacts(model.model_id, str(files))
            self._client.finalize_logged_model(model.model_id, "READY")
            self._client.log_outputs(run, [LoggedModelOutput(model.model_id, step)])
            now = int(time.time() * 1000)
            points = [
                Metric(key, value, now, step, model_id=model.model_id, run_id=run)
                for key, value in values.items()
            ]
            self._client.log_batch(run, metrics=points)
            return model.model_id

    def log_output(self, run: str, model: str, *, step: int) -> None:
        """Let a run show a model that another has logged."""
        from mlflow.entities import LoggedModelOutput

        with _reported():
            outputs = self._client.get_run(run).outputs
            if model not in [one.model_id for one in (outputs.model_outputs if outputs else [])]:
                self._client.log_outputs(run, [LoggedModelOutput(model, step)])

    def register(self, name: str, model: str, run: str, description: str) -> None:
        """Make a logged model the best version of a registered one, if it is not that already."""
        with _reported():
            if not self._client.search_registered_models(f"name = '{name}'"):
                self._client.create_registered_model(name)
            elif self._best(name) == model:
                return
            source = f"models:/{model}"
            if not self._uri.startswith("http"):
                # A store without a server would look the model up in MLflow's global store (3.17).
                source = self._client.get_logged_model(model).artifact_location
            made = self._client.create_model_version(
                name, source, run_id=run, model_id=model, description=description
            )
            self._client.set_registered_model_alias(name, BEST, made.version)

    def _best(self, name: str) -> str:
        """The id of the model that is the best version; empty where the alias was taken away."""
        version = self._client.get_registered_model(name).aliases.get(BEST)
        return self._client.get_model_version(name, version).model_id if version else ""

    def monitor(self, run: str) -> Any:
        """Let MLflow measure this machine while the run goes on; ``finish()`` of what comes back ends it.

        Raises:
            ConfigError: a package is missing.
        """
        try:
            import psutil  # noqa: F401
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
        except ImportError:
            raise ConfigError(
                "tracking.system_metrics needs psutil, which is not installed: pip install "
                "'alkit[system-metrics]'"
            ) from None
        with _reported():
            monitor = SystemMetricsMonitor(run, resume_logging=True, tracking_uri=self._uri)
            monitor.start()
            return monitor


@contextmanager
def _reported() -> Iterator[None]:
    """Whatever MLflow, SQLAlchemy or requests raise, as a sentence; a wish to stop waits for the call."""
    try:
        with interrupts.deferred():
            yield
    except Exception as error:
        problem = masked((str(error).splitlines() or [""])[0])[:200]
        raise TrackingError(
            f"MLflow's store failed ({type(error).__name__}: {problem}); when it works again, the same "
            "command goes on from here."
        ) from error


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _digest(frame: pandas.DataFrame) -> str:
    """Eight letters of a hash of every row, in whatever order they stand."""
    rows = sorted(map(repr, frame.itertuples(index=False, name=None)))
    return hashlib.sha256("\n".join([*frame.columns, *rows]).encode()).hexdigest()[:8]
