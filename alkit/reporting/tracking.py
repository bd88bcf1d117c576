"""MLflow: one parent run for the campaign, one child run for each round."""

import logging
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from alkit import interrupts
from alkit.config.masking import is_masked, masked, without_secrets, without_user
from alkit.errors import ConfigError, TrackingError
from alkit.files import absolute, is_running

SERVED_AT = "http://127.0.0.1:5000"  # by `mlflow server`, unless it is given another port
Ending = Literal["FINISHED", "FAILED", "KILLED", "SCHEDULED"]  # the last: it waits, and will go on


class ShownAt(NamedTuple):
    """Where a person sees a run.

    Attributes:
        server: the command that serves the store; empty where a server has it.
        run: the address of the run, once it is served.
    """

    server: str
    run: str


class Tracker:
    """Writes to a tracking store with explicit run ids, so that a resumed campaign goes on in its own runs.

    Args:
        uri: MLflow tracking store; with ``sqlite:///…`` the artifacts go to ``mlartifacts`` beside it.
        experiment: made if it does not exist.

    Raises:
        ConfigError: the store cannot be opened.
    """

    def __init__(self, uri: str, experiment: str):
        uri = self._uri = _with_password(uri)
        self._client, shown = _client(uri), masked(uri)
        try:
            existing = self._client.get_experiment_by_name(experiment)
            if existing and existing.lifecycle_stage != "active":
                raise ConfigError(
                    f"tracking.experiment {experiment} was deleted in {shown}; restore it or name another."
                )
            if existing:
                _bring_along(uri, existing.artifact_location)
            self._experiment = existing.experiment_id if existing else self._create(uri, experiment)
        except ConfigError:
            raise
        except Exception as error:  # MLflow raises its own, SQLAlchemy's or requests' error here
            raise _cannot_be_opened(uri, error) from error

    def _create(self, uri: str, experiment: str) -> str:
        return self._client.create_experiment(
            experiment,
            artifact_location=_artifacts(uri),
            # Without it MLflow 3 shows its pages for language-model applications.
            tags={"mlflow.experimentKind": "custom_model_development"},
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
            return self._client.create_run(self._experiment, tags=tags).info.run_id

    def shown_at(self, run: str) -> ShownAt:
        """Where a person sees a run."""
        page = f"#/experiments/{self._experiment}/runs/{run}"
        if self._uri.startswith(("http://", "https://")):
            return ShownAt("", f"{masked(self._uri).rstrip('/')}/{page}")
        return ShownAt(f"mlflow server --backend-store-uri {masked(self._uri)}", f"{SERVED_AT}/{page}")

    def _exists(self, run: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(run).info.lifecycle_stage == "active"
        except MlflowException:  # deleted by the user between two runs of the campaign
            return False

    def close_run(self, run: str, ending: Ending) -> None:
        with _reported():
            self._client.set_terminated(run, status=ending)

    def log_params(self, run: str, params: dict[str, Any]) -> None:
        """Nested settings flattened to dotted names. MLflow keeps a parameter's first value; what has changed
        since becomes the tag ``now.<name>``."""
        from mlflow.entities import Param, RunTag

        values = {key: str(value)[:500] for key, value in _flat(params).items()}
        with _reported():
            known = self._client.get_run(run).data.params
            pairs = [Param(key, value) for key, value in values.items() if key not in known]
            now = {key: value for key, value in values.items() if known.get(key, value) != value}
            tags = [RunTag(f"now.{key}", value) for key, value in now.items()]
            self._client.log_batch(run, params=pairs, tags=tags)

    def log_metrics(self, run: str, metrics: dict[str, float], *, step: int = 0) -> None:
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


def check_store(uri: str) -> str:
    """Look whether a store can be used, and say what it is. A store that is not there yet is not made.

    Raises:
        ConfigError: it cannot be used.
    """
    uri = _with_password(uri)
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and path.name and not path.exists():
        above = next(one for one in path.absolute().parents if one.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise ConfigError(f"tracking.uri {uri}: {above} is no folder that can be written to.")
        return f"{masked(uri)}, made when it is needed"
    try:
        count = len(_client(uri).search_experiments(max_results=1000))
    except ConfigError:
        raise
    except Exception as error:  # as in Tracker
        raise _cannot_be_opened(uri, error) from error
    return f"{masked(uri)}, {count} experiments"


def _cannot_be_opened(uri: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"tracking.uri {masked(uri)}: the MLflow store cannot be opened ({type(error).__name__}: "
        f"{_first_line(error, uri)})."
    )


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


def _client(uri: str) -> Any:
    # Nothing leaves the machine unasked; must be set before MLflow is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # By default an address where nothing answers is tried for many minutes without a word.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    if uri.startswith("sqlite:") and Path(uri.removeprefix("sqlite:///")).name in ("", "sqlite:", ":memory:"):
        raise ConfigError(
            f"tracking.uri {uri} is a store in memory, which ends with the command; give a file, such as "
            "sqlite:///mlflow.db."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        # The first use of a database prints every migration that creates its tables.
        for name in ("alembic", "mlflow.store.db.utils", "mlflow"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # its errors reach the caller
        try:
            _make_whole(uri)
            return MlflowClient(tracking_uri=uri)
        except Exception as error:  # as above: several libraries' errors
            raise ConfigError(f"tracking.uri {masked(uri)}: {_first_line(error, uri)}.") from error


def _first_line(error: Exception, uri: str) -> str:
    return without_secrets((str(error).splitlines() or [""])[0], uri)[:200]


def _with_password(uri: str) -> str:
    """The address to use: one whose password was hidden takes it from MLflow's environment variables.

    Raises:
        ConfigError: they are not set.
    """
    if not is_masked(uri):
        return uri
    if not os.environ.get("MLFLOW_TRACKING_PASSWORD"):
        raise ConfigError(
            f"tracking.uri {uri} has its password hidden; set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or give the password in the campaign's file."
        )
    return without_user(uri)


def _make_whole(uri: str) -> None:
    """Make a new SQLite store beside its place, and put it there with all its tables.

    MLflow makes them in some fifty steps, and cannot go on after a process was killed in the middle of them.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or not path.name or path.exists() or not path.parent.is_dir():
        return
    from mlflow import MlflowClient

    for left in path.parent.glob(f"{path.name}.*.new*"):  # of processes that were killed here
        pid = left.name.removeprefix(f"{path.name}.").partition(".")[0]
        if pid.isdigit() and (int(pid) == os.getpid() or not is_running(int(pid))):
            left.unlink(missing_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{scratch}").search_experiments(max_results=1)
        with suppress(FileExistsError):  # another campaign was faster
            os.link(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def absolute_uri(uri: str) -> str:
    """A SQLite store's path made absolute; other addresses as they are."""
    path = uri.removeprefix("sqlite:///")
    return f"sqlite:///{absolute(path, Path.cwd(), 'tracking.uri')}" if path != uri else uri


def _artifacts(uri: str) -> str | None:
    if not uri.startswith("sqlite:///"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts").as_uri()


def _bring_along(uri: str, stored: str) -> None:
    """Let a SQLite store that was moved or copied name its artifacts where they are now: MLflow keeps the
    absolute place where they once were, and would write to it.

    Args:
        stored: where the store says that artifacts of the experiment are.
    """
    here = _artifacts(uri)
    if here is None or stored == here or not stored.endswith("/mlartifacts"):
        return
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as store, store:
        store.execute(
            "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (here, stored)
        )
        store.execute(
            "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE artifact_uri LIKE ?",
            (here, len(stored) + 1, f"{stored}/%"),
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat
