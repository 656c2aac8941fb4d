"""A region's load balancer: Services of that type get addresses of the region's pool.

Runs inside the region, kept alive by its supervisor: `loadbalancer.py HOME ADDRESS...`. Only the
standard library, so that it is up at once and costs a region 15 MB instead of 80.
"""

import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Service = dict[str, Any]


class RegionApi:
    """The region's API server, by the token in the region's folder."""

    def __init__(self, home: Path) -> None:
        self._tls = ssl.create_default_context(cafile=str(home / "pki/ca.crt"))
        self._token = (home / "pki/region.token").read_text()

    def request(self, method: str, path: str, body: Any = None) -> http.client.HTTPResponse:
        """Return the open answer; raises OSError if the server refuses."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", 6443, context=self._tls, timeout=None if "watch" in path else 10
        )
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/merge-patch+json",
        }
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        if response.status >= 400:
            raise OSError(f"{method} {path}: HTTP {response.status} {response.read(300)!r}")
        return response

    def services(self) -> Iterator[Service]:
        """Give every Service as it is, and again whenever it changes."""
        listed = json.load(self.request("GET", "/api/v1/services"))
        yield from listed["items"]
        version = listed["metadata"]["resourceVersion"]
        query = f"watch=1&timeoutSeconds=300&resourceVersion={version}"
        for line in self.request("GET", f"/api/v1/services?{query}"):
            event = json.loads(line)
            if event["type"] in ("ADDED", "MODIFIED"):
                yield event["object"]


class LoadBalancer:
    """Who has which address of the pool."""

    def __init__(self, api: RegionApi, pool: list[str]) -> None:
        self.api = api
        self.pool = pool
        self.assigned_addresses: dict[str, str] = {}

    def reconcile(self) -> None:
        """Serve Services until the watch ends; those that are gone free their addresses."""
        listed = json.load(self.api.request("GET", "/api/v1/services"))["items"]
        self.assigned_addresses = {
            _key(s): a for s in listed for a in addresses(s) if a in self.pool
        }
        for service in self.api.services():
            if wants_load_balancer(service["spec"]):
                self.serve(service)

    def serve(self, service: Service) -> None:
        """Make the Service's address answer in this region, and say it in its status."""
        kept = next((a for a in addresses(service) if a in self.pool), None)
        address = kept or self.assign_address(_key(service))
        if address is None:
            print(f"no address left for {_key(service)}", flush=True)
            return
        subprocess.run(["ip", "addr", "replace", f"{address}/32", "dev", "eth0"], check=True)
        if not kept:
            meta = service["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/services/{meta['name']}/status"
            self.api.request(
                "PATCH", path, {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
            ).read()
            print(f"{_key(service)}: {address}", flush=True)

    def assign_address(self, key: str) -> str | None:
        """Return the Service's address; the first free one is assigned to it if it has none."""
        if key not in self.assigned_addresses:
            used = set(self.assigned_addresses.values())
            found = next((a for a in self.pool if a not in used), None)
            if found is None:
                return None
            self.assigned_addresses[key] = found
        return self.assigned_addresses[key]


def wants_load_balancer(spec: dict[str, Any]) -> bool:
    """Tell whether a Service wants a load balancer, and not one of a class that we are not."""
    return spec["type"] == "LoadBalancer" and not spec.get("loadBalancerClass")


def addresses(service: Service) -> list[str]:
    """Return the addresses in a Service's status."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [entry["ip"] for entry in ingress if "ip" in entry]


def _key(service: Service) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def main() -> None:
    """Serve for ever; an API server that is away is asked again."""
    home, *pool = sys.argv[1:]
    balancer = LoadBalancer(RegionApi(Path(home)), pool)
    while True:
        try:
            balancer.reconcile()
        except (OSError, http.client.HTTPException, ValueError) as error:
            print(error, flush=True)
            time.sleep(0.5)  # the API server's own restart takes seconds


if __name__ == "__main__":
    main()
