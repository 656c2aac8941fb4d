"""How long each thing may take, in one object: every limit with where it comes from."""

from typing import Annotated

from pydantic import ConfigDict, Field

from isthmus.environment.sections import Section

Seconds = Annotated[int, Field(ge=1, le=86400)]


class Timeouts(Section):
    """Seconds that each thing may take; what takes longer has failed, and the run with it."""

    model_config = ConfigDict(title="Timeouts")

    # Helm gives a release 5 min (--timeout), istioctl its install 5 min (--readiness-timeout),
    # Kubernetes a Deployment 10 (progressDeadlineSeconds): these are what clusters here never took.

    # terraform's providers give a cloud's cluster 30 min (aws_eks_cluster, create); minutes are
    # usual, and kind takes half a minute and pulls half a gigabyte before.
    cluster: Seconds = 1800
    """A cluster to be made by a cloud or kind, or to be gone from a cloud."""
    # The cloud publishes no number: as long as its own SDK waits for one answer.
    cloud: Seconds = 60
    """A cloud's API to take a request that it throttled, and to list what was asked for."""
    # kubeadm gives it 4 min (ControlPlaneComponentHealthCheck); a cloud's address comes first.
    api_server: Seconds = 300
    """The API server of a cluster that was made or started to answer at all."""
    node: Seconds = 180
    """A node of a cluster that was made to be Ready."""
    deployment: Seconds = 240
    """A Deployment to be available: istiod, a gateway, KubeFed, the sample."""
    # As long as a readiness probe may fail before it counts (3 times, every 10 s).
    pod: Seconds = 30
    """A pod of a mesh that is looked at to be Ready again, before it is judged."""
    # Pods that end have 30 s (terminationGracePeriodSeconds); then the cluster-autoscaler, which
    # looks every 10 (--scan-interval), tells of a node that it adds, and that is waited for.
    scheduling: Seconds = 40
    """Room for a pod, or the word that a node is added, where either may still come."""
    load_balancer: Seconds = 180
    """A Service of type LoadBalancer to get its address."""
    helm: Seconds = 240
    """One call of Helm."""
    federation: Seconds = 90
    """A cluster to be a Ready member, and a federated object to be in every member."""
    control_plane: Seconds = 90
    """A reader's token to be made; the host's istiod to serve a cluster: trust, injector."""
    proxies: Seconds = 60
    """Every proxy to have learnt the last change, before traffic is judged."""
    # Twice what a proxy gives a connection (Istio's meshConfig.connectTimeout).
    endpoints: Seconds = 20
    """Every endpoint to have answered, and every gateway to send on, before traffic is judged."""
    deletion: Seconds = 180
    """What was deleted to be gone: with its finalizers, content and cloud's load balancers."""
    answer: Seconds = 90
    """A new load balancer's address to answer: a cloud's looks at what is behind it a few times."""
    drain: Seconds = 30
    """Requests through the gateway of a cluster that leaves to end; a pod that ends has as long."""
    # A connection is asked for after 0, 1, 3 and 7 s (RFC 6298), so that 10 s are four tries.
    connect: Seconds = 10
    """A connection to be open, to an API server or a load balancer; what stands, to answer."""
    # etcd's own limit is 7 s (etcd server/config ReqTimeout); an API server may ask it twice.
    request: Seconds = 15
    """An API server to answer a request; a cloud's API and a server of files have twice as long.

    A command in a pod is lost after four times without a word, not even an answer to a ping.
    """
    # Its Retry-After is 1 (k8s.io/apiserver pkg/server/filters/maxinflight.go).
    retry: Seconds = 5
    """An API server that is away, throttles or refuses to take the same request; Helm's: twice."""
    # kubectl waits for ever; a person who has to look for a second factor needs half as long.
    login: Seconds = 60
    """The program of a kubeconfig's `exec` to give credentials."""
    # As long as a verification of 1000 requests needs whose every answer takes half a second.
    exec: Seconds = 600
    """A command in a pod."""
    download: Seconds = 15
    """A file's next byte to come; the next run goes on from there."""
    prefect: Seconds = 5
    """A Prefect server of your own (PREFECT_API_URL) to answer, before a run."""
