"""An MLflow store: opening it, looking whether it works, and where a person sees its runs."""

import logging
import os
import shlex
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from alkit.config.masking import is_masked, masked, without_secrets, without_user
from alkit.errors import ConfigError
from alkit.files import absolute, is_running

NO_TRACKING = "none"  # the address that stands for no store
SERVED_AT = "http://127.0.0.1:5000"  # by `mlflow server`, unless it is given another port
# MLflow 3 opens an experiment with its pages for language models, whatever kind the experiment is of, until
# the reader has chosen "Model training" once; the address can choose it too.
_MODEL_TRAINING = "?workflowType=machine_learning"


class ShownAt(NamedTuple):
    """Where a person sees a run.

    Attributes:
        server: the command that serves the store; empty where a server has it.
        run: the address of the run, once it is served.
    """

    server: str
    run: str


def shown_at(uri: str, experiment: str, run: str) -> ShownAt:
    """Where a person sees a run of a store; empty texts where nothing is tracked.

    Args:
        uri: of the store.
        experiment: its id.
        run: its id.
    """
    if uri == NO_TRACKING:
        return ShownAt("", "")
    page = f"#/experiments/{experiment}/runs/{run}{_MODEL_TRAINING}"
    if uri.startswith(("http://", "https://")):
        return ShownAt("", f"{masked(uri).rstrip('/')}/{page}")
    return ShownAt(f"mlflow server --backend-store-uri {shlex.quote(masked(uri))}", f"{SERVED_AT}/{page}")


def check_store(uri: str) -> str:
    """Look whether a store can be used, and say what it is. A store that is not there yet is not made.

    Raises:
        ConfigError: it cannot be used.
    """
    uri = with_password(uri)
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and path.name and not path.exists():
        above = next(one for one in path.absolute().parents if one.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise ConfigError(f"tracking.uri {uri}: {above} is no folder that can be written to.")
        return f"{masked(uri)}, made when it is needed"
    try:
        count = len(open_client(uri).search_experiments(max_results=1000))
    except ConfigError:
        raise
    except Exception as error:  # as in Tracker
        raise cannot_be_opened(uri, error) from error
    return f"{masked(uri)}, {count} experiments"


def cannot_be_opened(uri: str, error: Exception) -> ConfigError:
    """The error for a store that cannot be opened, with passwords masked."""
    return ConfigError(
        f"tracking.uri {masked(uri)}: the MLflow store cannot be opened ({type(error).__name__}: "
        f"{_first_line(error, uri)})."
    )


def open_client(uri: str) -> Any:
    """Connect to a store, with MLflow's telemetry off and its log quiet.

    Raises:
        ConfigError: a store in memory, or one that cannot be opened.
    """
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


def with_password(uri: str) -> str:
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
        with _written_at_once():
            MlflowClient(tracking_uri=f"sqlite:///{scratch}").search_experiments(max_results=1)
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another campaign was faster
            os.link(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def _written_at_once() -> Iterator[None]:
    """Let new connections to SQLite not wait for the disk; each of MLflow's fifty steps would."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def hurry(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", hurry)
    try:
        yield
    finally:
        event.remove(Engine, "connect", hurry)


def absolute_uri(uri: str) -> str:
    """A SQLite store's path made absolute; other addresses as they are."""
    path = uri.removeprefix("sqlite:///")
    return f"sqlite:///{absolute(path, Path.cwd(), 'tracking.uri')}" if path != uri else uri


def artifacts_of(uri: str) -> str | None:
    """The address of the folder ``mlartifacts`` beside a SQLite store; None for other stores."""
    if not uri.startswith("sqlite:///"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts").as_uri()


def bring_along(uri: str, stored: str) -> None:
    """Let a SQLite store that was moved or copied name its artifacts where they are now.

    MLflow keeps the absolute place where they once were, and would write to it.

    Args:
        uri: of the store.
        stored: where the store says that artifacts of the experiment are.
    """
    here = artifacts_of(uri)
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
