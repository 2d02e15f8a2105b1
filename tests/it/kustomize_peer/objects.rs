//! Generated objects: kinds with odd names, labels and bodies.

use std::fmt::Write as _;

use super::overlay::Overlay;
use super::random::IMAGES;

/// Kind and name of an object, the name as YAML writes it.
pub type Id = (&'static str, &'static str);

const KINDS: [&str; 40] = [
    "Deployment",
    "Deployment",
    "Deployment",
    "Deployment",
    "Service",
    "Service",
    "ConfigMap",
    "ConfigMap",
    "ConfigMap",
    "Secret",
    "CronJob",
    "Ingress",
    "Role",
    "RoleBinding",
    "HorizontalPodAutoscaler",
    "Widget",
    "Widget",
    "Widget",
    "ServiceAccount",
    "StatefulSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "Pod",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ClusterRole",
    "ClusterRoleBinding",
    "Namespace",
    "NetworkPolicy",
    "CustomResourceDefinition",
    "PodDisruptionBudget",
    "ValidatingWebhookConfiguration",
    "APIService",
    "PriorityClass",
    "ReplicationController",
    "HTTPRoute",
    "GadgetList",
    "Gizmo",
];

pub fn api_version(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => "apps/v1",
        "CronJob" | "Job" => "batch/v1",
        "Ingress" | "NetworkPolicy" => "networking.k8s.io/v1",
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => {
            "rbac.authorization.k8s.io/v1"
        }
        "HorizontalPodAutoscaler" => "autoscaling/v2",
        "Widget" => "example.org/v1",
        "Gizmo" => "\"1\"",
        "GadgetList" => "example.org/v1beta1",
        "HTTPRoute" => "gateway.networking.k8s.io/v1",
        "StorageClass" => "storage.k8s.io/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        "PodDisruptionBudget" => "policy/v1",
        "ValidatingWebhookConfiguration" => "admissionregistration.k8s.io/v1",
        "APIService" => "apiregistration.k8s.io/v1",
        "PriorityClass" => "scheduling.k8s.io/v1",
        _ => "v1",
    }
}

impl Overlay {
    /// Returns a file of objects.
    pub fn objects(&mut self) -> String {
        let mut all = Vec::new();
        for _ in 0..1 + self.random.below(5) {
            let id = (self.random.pick(&KINDS), self.random.name());
            if self.ids.contains(&id) && !self.random.once_in(60) {
                continue;
            }
            self.ids.push(id);
            all.push(self.object(id));
        }
        if all.is_empty() {
            self.ids.push(("ServiceAccount", "extra"));
            all.push(self.object(("ServiceAccount", "extra")));
        }
        if self.random.once_in(12) {
            return as_list(&all);
        }
        let separator =
            self.random
                .pick(&["---\n", "---\n", "--- # next\n", "---\n# a comment\n---\n"]);
        let mut text = self.random.pick(&["", "---\n", "# a comment\n"]).to_owned();
        text += &all.join(separator);
        if self.random.once_in(20) {
            text = text.replace('\n', "\r\n");
        }
        text
    }

    pub fn object(&mut self, (kind, name): Id) -> String {
        let mut text = self.header((kind, name));
        if self.random.once_in(6) {
            let namespace = self.random.namespace();
            self.spaces.insert((kind, name), namespace);
            writeln!(text, "  namespace: {namespace}").unwrap();
        }
        text += &self.metadata();
        text += &self.body(kind, name);
        text
    }

    /// Returns the fields that every object has.
    pub fn header(&mut self, (kind, name): Id) -> String {
        // A bare name may be something else than a string.
        let bare = name.trim_matches(['"', '\'']);
        let name = match self.random.below(6) {
            0 if !matches!(bare, "null" | "~") => bare,
            _ => name,
        };
        format!(
            "apiVersion: {}\nkind: {kind}\nmetadata:\n  name: {name}\n",
            api_version(kind)
        )
    }

    /// Returns labels and annotations.
    pub fn metadata(&mut self) -> String {
        let mut text = String::new();
        for field in ["labels", "annotations"] {
            if self.random.once_in(20) {
                writeln!(text, "  {field}: {}", self.random.pick(&["", "{}", "null"])).unwrap();
            } else if self.random.once_in(3) {
                writeln!(text, "  {field}:").unwrap();
                for key in ["app", "b.example/c", "\"on\"", "team", "note"] {
                    if key == "app" || self.random.once_in(3) {
                        let value = match self.random.below(8) {
                            0 => self.random.scalar(),
                            _ => self.random.string(),
                        };
                        let value = if matches!(value, "{}" | "[]") {
                            "x"
                        } else {
                            value
                        };
                        writeln!(text, "    {key}: {value}").unwrap();
                    }
                }
            }
        }
        if self.random.once_in(30) {
            text += "  annotations:\n    config.kubernetes.io/local-config: \"true\"\n";
            if text.matches("annotations:").count() > 1 {
                text.truncate(text.rfind("  annotations:").unwrap());
            }
        }
        text
    }

    pub fn body(&mut self, kind: &str, name: &str) -> String {
        match kind {
            "Deployment"
            | "StatefulSet"
            | "DaemonSet"
            | "Job"
            | "CronJob"
            | "Pod"
            | "ReplicationController" => self.workload(kind, name),
            "Widget" | "Gizmo" | "HTTPRoute" | "GadgetList" => self.custom(kind),
            "ConfigMap" | "Secret" => self.data(kind),
            _ => self.other(kind),
        }
    }

    fn data(&mut self, kind: &str) -> String {
        if kind == "Secret" {
            return format!(
                "type: Opaque\nstringData:\n  a: {}\ndata:\n  p: cGFzcw==\n",
                self.random.string()
            );
        }
        let mut text = "data:\n".to_owned();
        for key in ["k", "file.txt", "\"1\"", "image"] {
            let value = match self.random.below(12) {
                0 => self.random.scalar(),
                _ => self.random.string(),
            };
            writeln!(text, "  {key}: {value}").unwrap();
        }
        text += "  block: |\n    first\n      second\n\n    third # no comment\n";
        text += self.random.pick(&[
            "",
            "  config.json: |\n    {\n      \"a\": {\"b\": \"c\"},\n      \"n\": 1\n    }\n",
            "  config.json: '{\"a\": {\"b\": \"c<d>\"}, \"n\": 1.0}'\n",
            "  config.yaml: |\n    a:\n      b: c\n    list:\n    - x\n",
            "binaryData:\n  bin: aGVsbG8=\n",
        ]);
        text
    }

    fn custom(&mut self, kind: &str) -> String {
        let (a, b, c) = (
            self.random.scalar(),
            self.random.scalar(),
            self.random.scalar(),
        );
        let (d, e, f) = (
            self.random.string(),
            self.random.string(),
            self.random.word(),
        );
        let in_flow = |text: &str| if text.is_empty() { "null" } else { text }.to_owned();
        match kind {
            "HTTPRoute" => format!(
                "spec:\n  hostnames: [{f}]\n  rules:\n  - backendRefs:\n    - name: {}\n      port: 80\n",
                self.random.name()
            ),
            "GadgetList" => format!("spec: {{a: {}}}\n", in_flow(a)),
            _ => format!(
                "spec:\n  a: {a}\n  b: {b}\n  list: [{f}, {}]\n  deep: {{c: {{d: {}}}, \"yes\": 1}}\n  \
                 folded: >-\n    some text\n    goes on\n\n    here\n  things:\n  - name: one\n    value: {d}\n  \
                 - name: two\n    value: {e}\n  base: &base {{x: 1, y: {f}}}\n  more:\n    <<: *base\n    y: {}\n",
                self.random.word(),
                in_flow(c),
                self.random.word(),
            ),
        }
    }

    fn other(&mut self, kind: &str) -> String {
        let (name, second) = (self.random.name(), self.random.name());
        let word = self.random.word();
        match kind {
            "Service" => format!(
                "spec:\n  selector:\n    app: {name}\n  ports:\n  - port: 80\n    name: {word}\n    \
                 targetPort: 8080\n  - port: 443\n    protocol: TCP\n    name: b\n"
            ),
            "Ingress" => format!(
                "spec:\n  rules:\n  - host: a.example\n    http:\n      paths:\n      - path: /\n        \
                 pathType: Prefix\n        backend:\n          service:\n            name: {name}\n            \
                 port:\n              number: 80\n  tls:\n  - secretName: {second}\n    hosts: [{word}]\n"
            ),
            "Role" | "ClusterRole" => format!(
                "rules:\n- apiGroups: [\"\"]\n  resources: [configmaps]\n  resourceNames: [{name}, {second}]\n  \
                 verbs: [get, '*']\n"
            ),
            "RoleBinding" | "ClusterRoleBinding" => format!(
                "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {}\n  name: {name}\nsubjects:\n\
                 - kind: ServiceAccount\n  name: {second}\n  namespace: {}\n- kind: User\n  name: {name}\n\
                 - kind: ServiceAccount\n  name: default\n",
                self.random.pick(&["Role", "ClusterRole"]),
                self.random.namespace(),
            ),
            "HorizontalPodAutoscaler" => format!(
                "spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: {name}\n  \
                 minReplicas: 1\n  maxReplicas: 3\n"
            ),
            "PersistentVolumeClaim" => {
                format!("spec:\n  storageClassName: {name}\n  volumeName: {second}\n")
            }
            "PersistentVolume" => {
                format!("spec:\n  storageClassName: {name}\n  nfs:\n    server: {word}\n")
            }
            "StorageClass" => format!("provisioner: x\nparameters:\n  secretName: {name}\n"),
            "NetworkPolicy" => {
                "spec:\n  podSelector:\n    matchLabels:\n      app: x\n  ingress:\n  - from:\n    \
                 - podSelector:\n        matchLabels: {}\n"
                    .to_owned()
            }
            "CustomResourceDefinition" => {
                "spec:\n  group: example.org\n  names: {kind: Widget}\n  conversion:\n    \
                 webhook:\n      clientConfig:\n        service: {name: app, namespace: default}\n"
                    .to_owned()
            }
            "PodDisruptionBudget" => {
                format!("spec:\n  selector:\n    matchLabels:\n      app: {word}\n")
            }
            "ValidatingWebhookConfiguration" => format!(
                "webhooks:\n- name: a.b.c\n  clientConfig:\n    service:\n      name: {name}\n      namespace: {}\n\
                 - name: d.e.f\n  clientConfig: {{}}\n",
                self.random.namespace()
            ),
            "APIService" => {
                format!("spec:\n  service:\n    name: {name}\n    namespace: default\n")
            }
            "PriorityClass" => "value: 100\n".to_owned(),
            "ServiceAccount" => {
                format!("imagePullSecrets:\n- name: {name}\nsecrets:\n- name: {second}\n")
            }
            _ => String::new(),
        }
    }

    fn workload(&mut self, kind: &str, name: &str) -> String {
        let indent = match kind {
            "Pod" => "  ",
            "CronJob" => "          ",
            _ => "      ",
        };
        let pod = self.pod(indent);
        let n_replicas = 1 + self.random.below(3);
        match kind {
            "Pod" => format!("spec:\n{pod}"),
            "CronJob" => format!(
                "spec:\n  schedule: \"*/5 * * * *\"\n  jobTemplate:\n    spec:\n      template:\n        spec:\n{pod}"
            ),
            "Job" => format!("spec:\n  template:\n    metadata: {{}}\n    spec:\n{pod}"),
            "ReplicationController" => format!(
                "spec:\n  replicas: {n_replicas}\n  selector:\n    app: {name}\n  template:\n    metadata:\n      \
                 labels:\n        app: {name}\n    spec:\n{pod}"
            ),
            "StatefulSet" => format!(
                "spec:\n  serviceName: {}\n  selector:\n    matchLabels: {{}}\n  volumeClaimTemplates:\n  \
                 - metadata:\n      name: data\n    spec:\n      storageClassName: {}\n  template:\n    spec:\n{pod}",
                self.random.name(),
                self.random.name(),
            ),
            _ => format!(
                "spec:\n  replicas: {n_replicas}\n  selector:\n    matchLabels:\n      app: {name}\n  template:\n    \
                 metadata:\n      labels:\n        app: {name}\n    spec:\n{pod}"
            ),
        }
    }

    fn pod(&mut self, indent: &str) -> String {
        let mut lines = Vec::new();
        if self.random.once_in(6) {
            lines.push("initContainers:".to_owned());
            lines.push("- name: init".to_owned());
            lines.push(format!("  image: {}", self.random.pick(&IMAGES)));
        }
        lines.push("containers:".to_owned());
        for name in ["main", "side"].iter().take(1 + self.random.below(2)) {
            lines.push(format!("- name: {name}"));
            self.container(&mut lines);
        }
        if self.random.once_in(3) {
            lines.push(format!("serviceAccountName: {}", self.random.name()));
        }
        if self.random.once_in(5) {
            lines.push(format!("priorityClassName: {}", self.random.name()));
            lines.push("imagePullSecrets:".to_owned());
            lines.push(format!("- name: {}", self.random.name()));
        }
        if self.random.once_in(2) {
            lines.push("volumes:".to_owned());
            lines.push("- name: v".to_owned());
            lines.push(format!("  configMap: {{name: {}}}", self.reference()));
            lines.push("- name: s".to_owned());
            lines.push(format!("  secret: {{secretName: {}}}", self.reference()));
            if self.random.once_in(3) {
                lines.push("- name: p".to_owned());
                lines.push(format!(
                    "  projected: {{sources: [{{configMap: {{name: {}}}}}, {{secret: {{name: {}}}}}]}}",
                    self.reference(),
                    self.reference()
                ));
            }
        }
        let mut text = String::new();
        for line in lines {
            writeln!(text, "{indent}{line}").unwrap();
        }
        text
    }

    fn container(&mut self, lines: &mut Vec<String>) {
        lines.push(format!("  image: {}", self.random.pick(&IMAGES)));
        lines.push(format!("  args: [{}, \"--x\"]", self.random.word()));
        if self.random.once_in(2) {
            lines.push("  env:".to_owned());
            lines.push("  - name: A".to_owned());
            lines.push(format!(
                "    value: {}",
                self.random.string().replace('\n', " ")
            ));
            lines.push("  - name: B".to_owned());
            lines.push("    valueFrom:".to_owned());
            let kind = self.random.pick(&["configMap", "secret"]);
            lines.push(format!(
                "      {kind}KeyRef: {{key: k, name: {}}}",
                self.reference()
            ));
        }
        if self.random.once_in(4) {
            let kind = self.random.pick(&["configMap", "secret"]);
            lines.push(format!(
                "  envFrom: [{{{kind}Ref: {{name: {}}}}}]",
                self.reference()
            ));
        }
        if self.random.once_in(3) {
            lines.push("  ports:".to_owned());
            for port in [8080, 9090].iter().take(1 + self.random.below(2)) {
                lines.push(format!("  - containerPort: {port}"));
                if self.random.once_in(3) {
                    lines.push(format!(
                        "    protocol: {}",
                        self.random.pick(&["TCP", "UDP"])
                    ));
                }
            }
        }
        if self.random.once_in(5) {
            lines.push("  volumeMounts:".to_owned());
            lines.push(format!(
                "  - mountPath: /{}",
                self.random.pick(&["a", "$(VAR)"])
            ));
            lines.push("    name: v".to_owned());
        }
    }

    fn reference(&mut self) -> &'static str {
        if self.random.once_in(2) {
            self.random.pick(&["gen0", "gen1", "gen2", "\"012\""])
        } else {
            self.random.name()
        }
    }
}

/// Returns one object that holds the others.
fn as_list(all: &[String]) -> String {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for object in all {
        let mut first = true;
        for line in object.lines() {
            let lead = match (first, line.is_empty()) {
                (true, _) => "- ",
                (false, true) => "",
                (false, false) => "  ",
            };
            writeln!(text, "{lead}{line}").unwrap();
            first = false;
        }
    }
    text
}
