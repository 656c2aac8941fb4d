"""Remote secrets as facts: whatever stands in them, nothing is started, and nothing raises."""

import base64
import json

import pytest
import yaml

from isthmus.collectors import secrets


class Cluster:
    """A cluster that has these Secrets."""

    def __init__(self, *secrets):
        self.found = secrets

    def objects(self, kind):
        return list(self.found)


def secret(text, name="istio-remote-secret-east", key="east"):
    data = {key: base64.b64encode(text.encode()).decode()}
    labels = {"istio/multiCluster": "true"}
    meta = {"name": name, "namespace": "istio-system", "labels": labels}
    return {"kind": "Secret", "metadata": meta, "data": data}


def kubeconfig(user, **cluster):
    return yaml.safe_dump(
        {
            "clusters": [{"name": "east", "cluster": {"server": "https://127.0.0.1:1", **cluster}}],
            "contexts": [{"name": "east", "context": {"cluster": "east", "user": "east"}}],
            "current-context": "east",
            "users": [{"name": "east", "user": user}],
        }
    )


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_remote_secret_starts_no_program_of_its_own(home):
    script = home / "script"
    script.write_text(f"#!/bin/sh\ntouch {home}/started\necho '{{}}'\n")
    script.chmod(0o755)
    users = [
        {"token": "a.b.c", "auth-provider": {"name": "gcp", "config": {"cmd-path": str(script)}}},
        {
            "token": "a.b.c",
            "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)},
        },
    ]
    for user in users:
        secrets.remote_secrets(Cluster(secret(kubeconfig(user))))
    assert not (home / "started").exists()


def test_what_a_login_met_names_no_file_of_this_machine_and_no_token(home):
    [facts] = secrets.remote_secrets(Cluster(secret(kubeconfig({"token": "eyJsecret.b.c"}))))
    assert not facts.login.asked
    told = json.dumps(facts.model_dump())
    assert "eyJsecret" not in told and str(home) not in told
    assert facts.user_kind == "token"


@pytest.mark.parametrize(
    "text", ["", "[]", "a: b", "{", "contexts: 3", "2026-11-28", "clusters: [1]", "\x00"]
)
def test_what_is_no_kubeconfig_is_told_and_raises_nothing(text):
    for facts in secrets.remote_secrets(Cluster(secret(text))):
        assert facts.error


@pytest.mark.parametrize(
    "server", ["https://h:99999", "https://[::1", "https://10.0.0.1:6443x", ""]
)
def test_a_server_that_is_no_url_ends_nothing(server):
    [facts] = secrets.remote_secrets(Cluster(secret(kubeconfig({"token": "a"}, server=server))))
    assert facts.server == server


def test_a_secret_of_somebody_else_is_not_looked_at():
    other = secret(kubeconfig({"token": "a"}), name="argocd-cluster")
    other["metadata"]["labels"] = {}
    assert not secrets.remote_secrets(Cluster(other))
