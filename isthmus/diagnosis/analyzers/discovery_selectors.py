"""Which namespaces istiod looks at: MeshConfig's discoverySelectors."""

from collections.abc import Iterator

from isthmus.diagnosis.fields import mappings, pairs, texts
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import shown
from isthmus.diagnosis.istio_rules import mesh_config
from isthmus.diagnosis.mesh_values import is_injected, selected_namespaces
from isthmus.diagnosis.objects import full_name, labels_of, listed, name_of
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import MESH_NAMESPACES


@analyzer("F30", "discoverySelectors keep istiod from a namespace of the mesh")
def not_discovered(snapshot: Snapshot) -> Iterator[Failure]:
    """Find namespaces of the mesh whose labels MeshConfig's discoverySelectors do not select."""
    selectors = mappings(mesh_config(snapshot).get("discoverySelectors"))
    for cluster in snapshot.clusters if selectors else ():
        chosen = {name_of(space) for space in selected_namespaces(snapshot, cluster)}
        left = [
            s for s in listed(cluster, "Namespace") if _is_in_mesh(s) and name_of(s) not in chosen
        ]
        for space in left:
            labels = shown([f"{k}={v}" for k, v in sorted(labels_of(space).items())], 8)
            yield Failure(
                clusters=(cluster.name,),
                object=full_name(space),
                evidence=(
                    f"{snapshot.host.name}: discoverySelectors {shown(map(_text, selectors))}",
                    f"{cluster.name}: {full_name(space)} has {labels or 'no labels'}",
                ),
                cause="istiod reads no Service, pod or gateway of a namespace that no selector "
                "selects, and writes no root into it",
                fix=_label(snapshot, cluster, space, selectors),
            )


def _is_in_mesh(space: Object) -> bool:
    return name_of(space) in MESH_NAMESPACES or is_injected(space)


def _text(selector: Object) -> str:
    equal = [f"{k}={v}" for k, v in pairs(selector.get("matchLabels")).items()]
    rules = [
        f"{r.get('key')} {r.get('operator')} {','.join(texts(r.get('values')))}".strip()
        for r in mappings(selector.get("matchExpressions"))
    ]
    return " and ".join([*equal, *rules]) or "everything"


def _label(
    snapshot: Snapshot, cluster: ClusterSnapshot, space: Object, selectors: list[Object]
) -> str:
    """Return what lets a selector of plain labels select the namespace.

    Isthmus's own namespaces have the labels of the environment file: a federation undoes others.
    """
    plain = [s for s in selectors if not s.get("matchExpressions") and s.get("matchLabels")]
    if not plain:
        note = "# give the namespace a label that a selector names, or change `overlays`; see:"
        look = kubectl(cluster.name, f"get namespace {name_of(space)} --show-labels")
        return f"{note}\n{look}"
    wanted = pairs(plain[0].get("matchLabels"))
    if name_of(space) in MESH_NAMESPACES:
        labels = ", ".join(f"{key}: {value}" for key, value in wanted.items())
        note = f"# put into the environment file: namespaces: {{labels: {{{labels}}}}}; then:"
        return f"{note}\n{up(snapshot)}"
    labels = " ".join(f"{key}={value}" for key, value in wanted.items())
    return kubectl(cluster.name, f"label namespace {name_of(space)} {labels} --overwrite")


ANALYZERS = (not_discovered,)
