"""What a remote's API server says to the credential in a remote secret, and how long it will."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.services import stack_of, up
from isthmus.diagnosis.snapshot import RemoteSecretFacts, Snapshot
from isthmus.diagnosis.times import span, utc
from isthmus.diagnosis.wiring import (
    ACCOUNT,
    READER,
    cluster_name,
    clusterz,
    is_over,
    is_synced,
    name_of_secret,
    read_secrets,
    renew,
)
from isthmus.environment.namespaces import ISTIO_NAMESPACE

ALLOWED = "PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS"
"""Kinds of users that istiod is to accept all the same (releasenotes/notes/
multicuster-secret-auth.yaml; pkg/kube/util.go, sanitizeKubeConfig)."""
REFUSED_USERS = {"exec": "exec", "auth-provider": "an auth provider", "none": "no credential",
                 "basic": "a password"}  # fmt: skip
FOR_GATEWAY_CREDENTIALS = ("list secrets", "create subjectaccessreviews")
"""Without these only TLS credentials of a remote's own gateways cannot be read
(pilot/pkg/credentials/kube/secrets.go)."""
CREDENTIALS = "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER"
"""Whether istiod reads them at all (releasenotes/notes/remote-credentials-opt-out.yaml)."""
ENDPOINTS_ALONE = ("endpoints", "pods", "services", "namespaces", "nodes")
"""What an istiod reads in a remote that has an istiod of its own to certify its pods."""


@analyzer(
    "F03", "A remote's API server refuses istiod's token: expired, revoked or of a wrong kind"
)
def login_refused(snapshot: Snapshot) -> Iterator[Failure]:
    """The credential in a remote secret is not taken: 401 Unauthorized, or istiod cannot use it."""
    for secret in read_secrets(snapshot):
        if is_over(secret.token, snapshot.taken_at):
            yield _expired(snapshot, secret)
        elif secret.login.asked and secret.login.status == 401:
            yield _unauthorized(snapshot, secret)
        elif _is_refused_by_istiod(snapshot, secret):
            yield _wrong_kind(snapshot, secret)


def _expired(snapshot: Snapshot, secret: RemoteSecretFacts) -> Failure:
    end = secret.token.expires_at if secret.token and secret.token.expires_at else 0.0
    return Failure(
        clusters=(cluster_name(snapshot, secret),),
        object=name_of_secret(secret),
        evidence=(
            f"its token's exp: {utc(end)}, {span(snapshot.taken_at - end)} before the snapshot",
            *_told(secret),
        ),
        cause="the ServiceAccount token in the remote secret has expired: the API server answers "
        "401 Unauthorized to istiod",
        fix=renew(snapshot, secret),
    )


def _unauthorized(snapshot: Snapshot, secret: RemoteSecretFacts) -> Failure:
    return Failure(
        clusters=(cluster_name(snapshot, secret),),
        object=name_of_secret(secret),
        evidence=_told(secret),
        cause="either the token was revoked (its Secret or its ServiceAccount was deleted or made "
        "anew), or the cluster's signing keys for ServiceAccount tokens changed, or the server is "
        "another cluster's",
        fix=renew(snapshot, secret),
        certain=False,
    )


def _told(secret: RemoteSecretFacts) -> tuple[str, ...]:
    login, lines = secret.login, []
    if secret.token and secret.token.subject:
        lines.append(f"the token is of {secret.token.subject}")
    if login.asked:
        lines.append(f"{secret.server} answers {login.status}: {login.message or 'no text'}")
    return tuple(lines)


def _is_refused_by_istiod(snapshot: Snapshot, secret: RemoteSecretFacts) -> bool:
    """Tell whether istiod takes no such user; that it has read the cluster proves that it does."""
    by_file = secret.user_kind == "token" and secret.token is None
    if secret.user_kind not in REFUSED_USERS and not by_file:
        return False
    allowed = [istiod.env.get(ALLOWED, "") for istiod in snapshot.host.istiods]
    if any(secret.user_kind in text or (by_file and "tokenFile" in text) for text in allowed):
        return False
    asked = [i for i in snapshot.host.istiods if i.clusters is not None]
    unread = bool(asked) and not any(clusterz(i, secret.key) for i in asked)
    if secret.user_kind == "auth-provider":  # oidc is taken; the snapshot does not name it
        return unread
    return not is_synced(snapshot, secret.key)


def _wrong_kind(snapshot: Snapshot, secret: RemoteSecretFacts) -> Failure:
    kind = REFUSED_USERS.get(secret.user_kind, "a tokenFile")
    return Failure(
        clusters=(cluster_name(snapshot, secret),),
        object=name_of_secret(secret),
        evidence=(
            f"its kubeconfig's user has {kind}",
            f"istiod has not read the cluster {secret.key} (/debug/clusterz)",
        ),
        cause="istiod takes a token in the kubeconfig itself: exec, tokenFile and auth providers "
        f"other than oidc are refused unless {ALLOWED} names them",
        fix=renew(snapshot, secret),
    )


@analyzer("F24", "The reader of a remote may not read what istiod needs")
def reader_may_not(snapshot: Snapshot) -> Iterator[Failure]:
    """RBAC of the remote denies what istiod's ClusterRole of this version asks for."""
    stack = stack_of(snapshot)
    own_istiod = stack is not None and stack.istiod_in_remotes
    for secret in read_secrets(snapshot):
        every = secret.login.denied
        denied = [d for d in every if not own_istiod or d.split(" ")[-1] in ENDPOINTS_ALONE]
        if not denied:
            continue
        gateways_alone = all(d.startswith(FOR_GATEWAY_CREDENTIALS) for d in denied)
        if gateways_alone and _reads_no_credentials(snapshot):
            continue
        lost = "endpoints or identities of that cluster"
        if gateways_alone:
            lost = "TLS credentials of that cluster's own gateways"
        yield Failure(
            clusters=(cluster_name(snapshot, secret),),
            object=name_of_secret(secret),
            evidence=(
                f"{secret.login.user or 'its user'} may not: {', '.join(denied)} "
                "(SelfSubjectAccessReview)",
            ),
            cause="the ClusterRole or ClusterRoleBinding of istiod's reader is missing there, or "
            f"of another version of Istio: istiod cannot read {lost}",
            fix=_grant(snapshot, secret),
            severity="warning" if gateways_alone else None,
        )


def _reads_no_credentials(snapshot: Snapshot) -> bool:
    told = [istiod.env.get(CREDENTIALS, "") for istiod in snapshot.host.istiods]
    return bool(told) and all(value.lower() == "false" for value in told)


def _grant(snapshot: Snapshot, secret: RemoteSecretFacts) -> str:
    space, _, account = secret.login.user.removeprefix(ACCOUNT).partition(":")
    ours = (space, account) == (ISTIO_NAMESPACE, READER)
    if ours or not secret.login.user.startswith(ACCOUNT):
        return up(snapshot)
    role = f"istio-reader-clusterrole-{ISTIO_NAMESPACE}"
    words = f"create clusterrolebinding istio-reader-{account} --clusterrole={role}"
    name = cluster_name(snapshot, secret)
    return kubectl(name, f"{words} --serviceaccount={space}:{account}")


ANALYZERS = (login_refused, reader_may_not)
