"""Where the sample is asked, and by which names proxies know it."""

HOST = "helloworld.sample.svc.cluster.local"
URL = "http://helloworld.sample:5000/hello"
SIDECAR = f"outbound|5000||{HOST}"
GATEWAY_CLUSTER = f"outbound_.5000_._.{HOST}"
"""The cluster by which a gateway hands requests on (model.BuildDNSSrvSubsetKey)."""
WARM_UP = 5
"""Requests before those that count: the first ones open the sidecar's own connections."""
