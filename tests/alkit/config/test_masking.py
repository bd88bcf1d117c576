"""alkit.config.masking: a password in an address is never written and never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkit.config.loading import changes, check_config
from alkit.config.masking import is_masked, masked, without_secrets, without_user
from alkit.errors import ConfigError
from alkit.reporting.tracking import Tracker

words = st.text(st.sampled_from("abcXYZ0189-_.!+"), min_size=1, max_size=12)


@given(words, words)
def test_no_secret_is_left(user: str, secret: str) -> None:
    secret = f"S{secret}S"
    for uri in (
        f"http://{user}:{secret}@host:5000/path",
        f"postgresql+psycopg2://{user}:{secret}@host/db",
        f"https://host/path?token={secret}",
        f"https://host/path?user={user}&password={secret}&x=1",
    ):
        assert secret not in masked(uri)
        assert is_masked(masked(uri))
        assert not is_masked(uri)
        assert masked(masked(uri)) == masked(uri)
        assert secret not in without_secrets(f"cannot reach {uri} with {secret}", uri)


@pytest.mark.parametrize(
    "uri", ["sqlite:///mlflow.db", "http://127.0.0.1:5000", "databricks", "http://user@host"]
)
def test_addresses_without_a_secret_stay(uri: str) -> None:
    assert masked(uri) == uri
    assert not is_masked(uri)


def test_the_user_is_left_to_mlflows_variables() -> None:
    assert without_user("http://me:***@host:5000/x") == "http://host:5000/x"


def config(uri: str) -> dict:
    return check_config({"name": "x", "proposer": "generator", "tracking": {"uri": uri}}).as_dict()


def test_a_campaigns_config_is_written_without_it() -> None:
    stored = config("http://me:secret@host")
    assert stored["tracking"]["uri"] == "http://me:***@host"
    earlier = stored | {
        "tracking": stored["tracking"] | {"uri": "http://me:secret@host"}
    }  # of revision c218eec
    assert changes(earlier, stored) == []
    assert changes(stored, config("http://me:another@host")) == []
    assert changes(stored, config("http://me:secret@elsewhere")) == [
        "tracking.uri: http://me:***@host -> http://me:***@elsewhere"
    ]


def test_a_store_that_does_not_answer_is_named_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConfigError) as said:
        Tracker("http://me:hunter2@127.0.0.1:1", "x")
    assert "hunter2" not in str(said.value)
    assert "http://me:***@127.0.0.1:1" in str(said.value)


def test_a_hidden_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
    with pytest.raises(ConfigError, match="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"):
        Tracker("http://me:***@127.0.0.1:1", "x")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    with pytest.raises(ConfigError, match=r"tracking.uri http://127.0.0.1:1: the MLflow store"):
        Tracker("http://me:***@127.0.0.1:1", "x")
