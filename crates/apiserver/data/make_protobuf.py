#!/usr/bin/env python3
"""Makes protobuf.txt.gz: how the bodies that clients send as protobuf map to JSON.

    make_protobuf.py K8S_PB_SRC definitions.json.gz > protobuf.txt.gz

The first argument is the `src` folder of the crate k8s-pb (tags and types), the second the
file that generate.py makes (JSON names). One line a message, one a field:

    M core.v1.ConfigMap
    2 data {}s

Types: s text, b bool, i whole number, d number, y bytes, or a message. `*` is a list, `{}` a map,
`^` a message whose fields stand in its owner. What is not a field of the JSON form is inline.
"""
import gzip, json, os, re, sys

PACKAGES = ["api/core/v1", "api/apps/v1", "api/batch/v1", "api/rbac/v1", "api/networking/v1", "api/policy/v1",
            "api/autoscaling/v1", "api/autoscaling/v2", "api/coordination/v1", "api/events/v1", "api/storage/v1",
            "api/discovery/v1", "api/scheduling/v1", "api/authentication/v1", "api/authorization/v1",
            "api/admissionregistration/v1", "apimachinery/pkg/apis/meta/v1", "apimachinery/pkg/api/resource",
            "apimachinery/pkg/util/intstr", "apimachinery/pkg/runtime"]
INLINE = {"localObjectReference", "volumeSource", "ruleWithOperations", "rule", "persistentVolumeSource",
          "ingressRuleValue", "handler", "ephemeralContainerCommon"}


def short(module):
    parts = module.split("/")
    return ".".join(parts[-2:]) if parts[-1].startswith("v") else parts[-1]


def main():
    root, definitions = sys.argv[1], json.load(gzip.open(sys.argv[2]))
    known = {}
    for name, schema in definitions.items():
        parts = name.split(".")
        known[".".join(parts[-3:]).lower()] = (name, schema.get("properties", {}))
    out = []
    for package in PACKAGES:
        text = open(os.path.join(root, package, "mod.rs")).read()
        for match in re.finditer(r"pub struct (\w+) \{(.*?)\n\}", text, re.S):
            message, body = match.group(1), match.group(2)
            key = f"{short(package)}.{message}".lower()
            if message.endswith("List") and message != "List":
                continue
            properties = known.get(key, ("", {}))[1]
            names = {p.lower().lstrip("$"): p for p in properties}
            out.append(f"M {key}")
            for prost, field, rust in re.findall(
                    r"#\[prost\((.*?)\)\]\s*pub (?:r#)?(\w+):\s*(.*?),\s*(?=///|#\[|$)", body, re.S):
                tag = re.search(r'tag = "(\d+)"', prost).group(1)
                plain = re.sub(r"_", "", field).lower()
                camel = re.sub(r"_(\w)", lambda m: m.group(1).upper(), field)
                name = names.get(plain, camel)
                kind = prost.split(",")[0].strip()
                prefix = ""
                if kind.startswith("btree_map") or kind.startswith("map"):
                    prefix = "{}"
                    value = re.search(r'"\w+,\s*(\w+)"', prost).group(1)
                    kind = value
                elif "repeated" in prost:
                    prefix = "*"
                if kind == "message":
                    target = re.findall(r"[\w:]+", rust)[-1]
                    module = package.split("/")
                    while target.startswith("super::"):
                        target, module = target[len("super::"):], module[:-1]
                    parts = target.split("::")
                    module = "/".join(module + parts[:-1])
                    code = f"{short(module)}.{parts[-1]}".lower()
                    if camel in INLINE and plain not in names and not prefix:
                        prefix = "^"
                else:
                    code = {"string": "s", "bool": "b", "int32": "i", "int64": "i", "uint32": "i", "uint64": "i",
                            "double": "d", "float": "d", "bytes": "y"}[kind.split("=")[0].strip()]
                out.append(f"{tag} {name} {prefix}{code}")
    text = "\n".join(out) + "\n"
    sys.stdout.buffer.write(gzip.compress(text.encode(), 9, mtime=0))


main()
