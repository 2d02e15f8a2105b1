#!/usr/bin/env python3
"""Writes definitions.json.gz: the OpenAPI definitions of the kinds that this crate serves.

usage: python3 generate.py kubernetes_validate-1.37.0-py3-none-any.whl

The wheel is the PyPI package kubernetes-validate (Apache-2.0), which carries the OpenAPI
definitions of Kubernetes (Apache-2.0) as one JSON schema. This script keeps the definitions that
are reachable from the served kinds and turns them back into the form of OpenAPI v3:

- `type: [x, "null"]` becomes `type: x`;
- the `enum` of apiVersion and kind, which the package adds, goes away;
- the number or string type gets its `format: int-or-string` back;
- a reference with a description beside it becomes an `allOf` of the reference, as published;
- the defaults of the two `protocol` fields that are merge keys are put back in, since the package
  leaves defaults out.

Only the standard library is used, and the output is the same for the same wheel.
"""
import gzip
import json
import pathlib
import sys
import zipfile

VERSION = "1.37.0"
MEMBER = f"kubernetes_validate/kubernetes-json-schema/v{VERSION}-local/_definitions.json"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
# The kinds of src/kinds/table.rs, by package; keep both in step (a test compares them).
KINDS = {
    "io.k8s.api.core.v1.": [
        "ConfigMap", "Endpoints", "Event", "LimitRange", "Namespace", "Node", "PersistentVolume",
        "PersistentVolumeClaim", "Pod", "PodTemplate", "ReplicationController", "ResourceQuota",
        "Secret", "Service", "ServiceAccount",
    ],
    "io.k8s.api.apps.v1.": [
        "ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet",
    ],
    "io.k8s.api.batch.v1.": ["CronJob", "Job"],
    "io.k8s.api.rbac.v1.": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
    "io.k8s.api.networking.v1.": ["Ingress", "IngressClass", "NetworkPolicy"],
    "io.k8s.api.policy.v1.": ["PodDisruptionBudget"],
    "io.k8s.api.autoscaling.v1.": ["Scale"],
    "io.k8s.api.autoscaling.v2.": ["HorizontalPodAutoscaler"],
    "io.k8s.api.coordination.v1.": ["Lease"],
    "io.k8s.api.events.v1.": ["Event"],
    "io.k8s.api.storage.v1.": ["CSIDriver", "StorageClass", "VolumeAttachment"],
    "io.k8s.api.scheduling.v1.": ["PriorityClass"],
    "io.k8s.api.discovery.v1.": ["EndpointSlice"],
    "io.k8s.api.admissionregistration.v1.": [
        "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
    ],
    "io.k8s.api.authentication.v1.": ["SelfSubjectReview", "TokenRequest", "TokenReview"],
    "io.k8s.api.authorization.v1.": [
        "LocalSubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview",
        "SubjectAccessReview",
    ],
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.": ["CustomResourceDefinition"],
}
EXTRA = [META + name for name in ("DeleteOptions", "ListMeta", "Patch", "Status")]
PROTOCOLS = ["io.k8s.api.core.v1.ContainerPort", "io.k8s.api.core.v1.ServicePort"]


def normal(node, inside_properties=False):
    """Returns the node in the form of OpenAPI v3."""
    if isinstance(node, list):
        return [normal(item) for item in node]
    if not isinstance(node, dict):
        return node
    if inside_properties:
        return {name: normal(child) for name, child in node.items()}
    out = {}
    for key, child in node.items():
        if key == "type" and isinstance(child, list):
            out[key] = next(kind for kind in child if kind != "null")
        elif key == "$ref":
            out[key] = child.replace("#/$defs/", "#/components/schemas/")
        else:
            out[key] = normal(child, key == "properties")
    if "$ref" in out and len(out) > 1:
        out["allOf"] = [{"$ref": out.pop("$ref")}]
    return out


def references(node):
    """Yields the names of the definitions that the node refers to."""
    if isinstance(node, dict):
        for key, child in node.items():
            if key == "$ref" and isinstance(child, str):
                yield child.rsplit("/", 1)[1]
            else:
                yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def main(wheel):
    """Reads the wheel and writes the blob beside this script."""
    with zipfile.ZipFile(wheel) as archive:
        source = json.loads(archive.read(MEMBER))["$defs"]
    wanted = [package + kind for package, kinds in KINDS.items() for kind in kinds]
    wanted += [name + "List" for name in wanted if name + "List" in source] + EXTRA
    definitions = {}
    while wanted:
        name = wanted.pop()
        if name in definitions:
            continue
        node = normal(source[name])
        for field in ("apiVersion", "kind"):
            if "x-kubernetes-group-version-kind" in node:
                node.get("properties", {}).get(field, {}).pop("enum", None)
        definitions[name] = node
        wanted += references(node)
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"] = "int-or-string"
    for name in PROTOCOLS:
        definitions[name]["properties"]["protocol"]["default"] = "TCP"
    text = json.dumps(definitions, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    target = pathlib.Path(__file__).with_name("definitions.json.gz")
    with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as packed:
        packed.write(text.encode())
    print(f"{len(definitions)} definitions, {len(text)} bytes, {target.stat().st_size} packed")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
