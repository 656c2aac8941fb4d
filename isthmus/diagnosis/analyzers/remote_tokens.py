"""How long the tokens in remote secrets are valid."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer
from isthmus.diagnosis.snapshot import RemoteSecretFacts, Snapshot, TokenFacts
from isthmus.diagnosis.times import span, utc
from isthmus.diagnosis.wiring import (
    ACCOUNT,
    READER,
    cluster_name,
    is_over,
    name_of_secret,
    read_secrets,
    renew,
)
from isthmus.environment.namespaces import ISTIO_NAMESPACE


@analyzer("F36", "A remote secret's token never ends, or ends soon", severity="warning")
def token_end(snapshot: Snapshot) -> Iterator[Failure]:
    """Somebody else's token without an end, or any token in the last third of its life."""
    for secret in read_secrets(snapshot):
        token = secret.token
        if token is None or token.error or is_over(token, snapshot.taken_at):
            continue
        if token.expires_at is None:
            if token.subject != f"{ACCOUNT}{ISTIO_NAMESPACE}:{READER}":
                yield _endless(snapshot, secret, token)
        elif _in_last_third(token, secret.written_at, snapshot.taken_at):
            yield _ends_soon(snapshot, secret, token.expires_at)


def _in_last_third(token: TokenFacts, written: float | None, now: float) -> bool:
    begin = token.issued_at if token.issued_at is not None else written
    if token.expires_at is None or begin is None:
        return False
    return token.expires_at - now < (token.expires_at - begin) / 3


def _endless(snapshot: Snapshot, secret: RemoteSecretFacts, token: TokenFacts) -> Failure:
    return Failure(
        clusters=(cluster_name(snapshot, secret),),
        object=name_of_secret(secret),
        evidence=(f"its token, of {token.subject or 'no subject'}, has no exp",),
        cause="the token is valid until its Secret or its ServiceAccount is deleted: whoever has "
        "a copy reads the cluster as long",
        fix=renew(snapshot, secret),
    )


def _ends_soon(snapshot: Snapshot, secret: RemoteSecretFacts, end: float) -> Failure:
    return Failure(
        clusters=(cluster_name(snapshot, secret),),
        object=name_of_secret(secret),
        evidence=(f"its token's exp: {utc(end)}, in {span(end - snapshot.taken_at)}",),
        cause="two thirds of the token's life are over, and nobody has renewed it: after its end "
        "the API server answers 401 Unauthorized to istiod",
        fix=renew(snapshot, secret),
    )


ANALYZERS = (token_end,)
