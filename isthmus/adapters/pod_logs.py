"""The end of a container's log, by the API server."""

from urllib.parse import urlencode

from urllib3.exceptions import HTTPError

from isthmus.adapters.api_server import ApiServer
from isthmus.errors import ClusterUnreachable, Rejected


def tail(
    server: ApiServer,
    pod: str,
    namespace: str,
    container: str,
    lines: int,
    *,
    previous: bool = False,
) -> list[str]:
    """Return the last lines of a container's log, or of the container's that ran before it.

    Raises Rejected or ClusterUnreachable with what came back instead.
    """
    query = {"container": container, "tailLines": str(lines), "limitBytes": str(4 << 20)}
    query |= {"previous": "true"} if previous else {}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log?{urlencode(query)}"
    try:
        status, _, body = server.raw("GET", path, {"Accept": "*/*"}, b"")
    except (HTTPError, OSError) as error:
        text = f"log of {namespace}/{pod}: {error}"
        raise ClusterUnreachable(text, cluster=server.access.cluster) from None
    text = body.decode(errors="replace")
    if status >= 400:
        where = f"log of {namespace}/{pod}: HTTP {status}"
        raise Rejected(f"{where}: {text[:200]}", cluster=server.access.cluster)
    return text.splitlines()
