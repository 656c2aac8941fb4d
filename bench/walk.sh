#!/bin/bash
# The walk: what a careful person types, one step after the other, from nothing to answers of both
# regions. bench/walk.py starts it as process 1 of a process, mount and network namespace of its own,
# so that nothing of it can outlive it, and reads its laps (`== name`).
#
# in: WALK      its folder: manifests and certs are there, written by bench/manifests.py
#     IMAGES prefix of the images' names, CHART of KubeFed, PYTHON, and the tools in PATH
set -euo pipefail

lap() { printf '\n== %s\n' "$*"; } # istioctl leaves its last line of progress open
K() { local region=$1; shift; kubectl --kubeconfig "$WALK/$region/kubeconfig" "$@"; }
I() { local region=$1; shift; istioctl --kubeconfig "$WALK/$region/kubeconfig" "$@"; }
fed() { kubefedctl "$@" --kubeconfig "$WALK/kubeconfig" --host-cluster-context a --v=0; }
both() { local region; for region in a b; do "$@" "$region"; done; }
poll() {
  local end=$((SECONDS + 120))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "gave up on: $*" >&2; exit 1; }
    sleep .2
  done
}

# Own /run for locks, sockets and namespaces; /var with its own top, for /var/lib/cni and /var/log.
mount -t tmpfs -o mode=755 walk /run
mkdir -p /run/upper /run/work /run/lock
mount -t overlay -o lowerdir=/var,upperdir=/run/upper,workdir=/run/work overlay /var

"$PYTHON" -m bench.regions "$WALK" a b
lap regions

dns() { poll K "$1" get ns kube-system; K "$1" apply -f "$WALK/coredns.yaml"; }
both dns
lap dns

# No hooks: the chart's needs an image of another registry and only sets feature gates.
c=controllermanager
values=$c.controller.replicaCount=1
for part in controller webhook; do
  values+=,$c.$part.repository=$IMAGES,$c.$part.image=kubefed,$c.$part.tag=lab
  values+=,$c.$part.imagePullPolicy=Never
done
helm --kubeconfig "$WALK/a/kubeconfig" -n kube-federation-system upgrade --install kubefed "$CHART" \
  --create-namespace --no-hooks --wait --timeout 120s --set "$values"
lap kubefed

KUBECONFIG=$WALK/a/kubeconfig:$WALK/b/kubeconfig kubectl config view --raw --flatten \
  > "$WALK/kubeconfig"
# Right after the chart is ready, KubeFed's webhook may still refuse.
join() { poll fed join "$1" --cluster-context "$1" --error-on-existing=false; }
both join
lap joined

K a create ns istio-system
K a create secret generic cacerts -n istio-system --from-file="$WALK/cacerts"
fed federate ns istio-system
fed federate secret cacerts -n istio-system
poll K b get secret cacerts -n istio-system
lap federated

K a label ns istio-system topology.istio.io/network=network1
K b label ns istio-system topology.istio.io/network=network2
K b annotate ns istio-system topology.istio.io/controlPlaneClusters=a
I a install -y -f "$WALK/host.yaml"
lap host

K a apply -f "$WALK/expose.yaml"
endpoint() {
  ENDPOINT=$(K a get svc -n istio-system istio-eastwestgateway \
    -o jsonpath='{.status.loadBalancer.ingress[0].ip}') && [ -n "$ENDPOINT" ]
}
poll endpoint
lap endpoint

sed "s/ENDPOINT/$ENDPOINT/" "$WALK/remote.yaml" | I b install -y -f -
lap remote

I b create-remote-secret --name b -n istio-system | K a apply -f -
poll K b get cm istio-ca-root-cert -n istio-system
lap secret

I b install -y -f "$WALK/gateway.yaml"
lap gateway

K a create ns sample
K a label ns sample istio-injection=enabled
fed federate ns sample
K a apply -f "$WALK/federated-deployment.yaml"
injected() { [ "$(K b get ns sample -o jsonpath='{.metadata.labels.istio-injection}')" = enabled ]; }
poll injected
callers() { K "$1" apply -f "$WALK/callers.yaml"; }
both callers
available() {
  poll K "$1" -n sample get deploy helloworld
  K "$1" -n sample wait --for=condition=Available deploy --all --timeout=120s
}
both available
lap sample

ask() {
  local calls='for i in $(seq 40); do curl -s -m 5 helloworld.sample:5000/hello; done'
  K "$1" -n sample exec deploy/sleep -c sleep -- sh -c "$calls" > "$WALK/answers-$1"
  I "$1" proxy-config endpoints deploy/sleep -n sample \
    --cluster "outbound|5000||helloworld.sample.svc.cluster.local"
  for version in v1 v2; do
    echo "from $1, answers of $version (none would end the walk):"
    grep -c "$version" "$WALK/answers-$1"
  done
}
both ask
lap verified
