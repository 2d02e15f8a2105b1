//! `towpath policy explain`: for each tag the rule that kept or dropped it, and what becomes of the choice.
//!
//! The policy comes from manifests or from a cluster, the tags from a file or from the registry that
//! its ImageRepository names, the markers from the branches that automations edit or from a folder.
//! Nothing is stored and no status is written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::writers::{Question, Writers};
use crate::api::{ImagePolicy, ImageRef, ImageRepository};
use crate::cli::explained::{self, View};
use crate::cli::hint::Hint;
use crate::cli::{output, progress};
use crate::cluster::{Cluster, Embedded};
use crate::policy::Policy;
use crate::{controllers, serve};

/// The largest file of tags that is read.
const TAGS_BYTES_MAX: u64 = 64 << 20;
/// The kinds that take part; others are passed over.
const KINDS: [&str; 6] = [
    "ImagePolicy",
    "ImageRepository",
    "ImageUpdateAutomation",
    "GitRepository",
    "Secret",
    "ServiceAccount",
];
/// The namespace of objects that name none.
const NAMESPACE: &str = "default";

/// Says of every tag which rule of a policy kept or dropped it, and whether a commit follows.
///
/// The policy is read from manifests (-f), or from a cluster: yours (--kubeconfig) or that of `towpath
/// run` (--data). Its ImageRepository says which registry is asked, with which Secrets; --tags-file
/// needs neither. Of each ImageUpdateAutomation it says what it makes of the choice: that its branch has
/// it, or what keeps it from a commit.
#[derive(clap::Args)]
#[command(group(
    clap::ArgGroup::new("source").required(true).args(["files", "kubeconfig", "data"])
))]
pub(super) struct Arguments {
    /// The ImagePolicy, as NAME or NAMESPACE/NAME; may be left out where manifests hold one only.
    #[arg(value_name = "NAME", required_unless_present = "files")]
    name: Option<String>,
    /// Manifests with the policy, or folders of them.
    #[arg(short, long = "filename", value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// The kubeconfig of the cluster that has the policy.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The data folder of a `towpath run` that has the policy.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The namespace of a NAME without one.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "flux-system")]
    namespace: String,
    /// Tags instead of a registry's: one a line, or the JSON of `towpath tags -o json`.
    #[arg(long, value_name = "FILE")]
    tags_file: Option<PathBuf>,
    /// Looks for markers in this folder, in place of the branches that automations edit.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Explains this tag only.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t)]
    output: output::Format,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let is_served = arguments.files.is_empty();
    let cluster = match (&arguments.kubeconfig, &arguments.data) {
        _ if !is_served => Cluster::embedded(Embedded::default()).await?,
        (Some(file), _) => Cluster::from_kubeconfig(file)
            .await
            .hint("--kubeconfig names the file that kubectl uses, such as ~/.kube/config")?,
        (None, data) => {
            let file = data.clone().unwrap_or_default().join("kubeconfig");
            let cluster = Cluster::from_kubeconfig(&file).await;
            cluster.hint("--data names the folder of a `towpath run` that is running")?
        }
    };
    let client = cluster.client();
    let subject = match is_served {
        true => from_cluster(&client, &arguments).await?,
        false => from_manifests(&client, &arguments).await?,
    };
    let name = named(&subject.policy);
    let policy = Policy::from_spec(&subject.policy.spec).with_context(|| name.clone())?;
    let explanation = policy.explain(subject.tags.iter().map(String::as_str));
    let writers = match (&explanation.selection, subject.image) {
        (Ok(selection), Some(image)) if subject.has_automations => {
            let question = Question {
                policy: &subject.policy,
                latest: latest(&subject.policy, image, selection.tag.clone()),
                is_served,
                folder: arguments.path.as_deref(),
            };
            Some(Writers::find(&client, question).await?)
        }
        _ => None,
    };
    let view = View {
        subject: &name,
        tag: arguments.tag.as_deref(),
        format: arguments.output,
        writers: writers.as_ref(),
    };
    explained::show(&explanation, &view)
}

/// What is explained.
struct Subject {
    policy: ImagePolicy,
    tags: Vec<String>,
    /// The image of its ImageRepository, where there is one.
    image: Option<String>,
    /// Whether anybody could write what it chooses.
    has_automations: bool,
}

/// Returns a choice as the policy's status would have it. A digest is not asked for anew.
fn latest(policy: &ImagePolicy, name: String, tag: String) -> ImageRef {
    let status = policy.status.as_ref();
    let known = status.and_then(|status| status.latest_ref.as_ref());
    let digest = known.filter(|known| known.tag == tag && known.name == name);
    let digest = digest.and_then(|known| known.digest.clone());
    ImageRef { name, tag, digest }
}

fn named(policy: &ImagePolicy) -> String {
    let metadata = &policy.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    match metadata.namespace.as_deref() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

async fn from_cluster(client: &Client, arguments: &Arguments) -> anyhow::Result<Subject> {
    let name = arguments.name.as_deref().unwrap_or_default();
    let (namespace, name) = name.split_once('/').unwrap_or((&arguments.namespace, name));
    let policies: Api<ImagePolicy> = Api::namespaced(client.clone(), namespace);
    let policy = policies.get(name).await;
    let policy = policy.with_context(|| format!("read the ImagePolicy {namespace}/{name}"))?;
    subject(client, policy, true, arguments).await
}

async fn from_manifests(client: &Client, arguments: &Arguments) -> anyhow::Result<Subject> {
    let mut objects = serve::manifests(&arguments.files)?;
    objects.retain(|object| KINDS.contains(&object["kind"].as_str().unwrap_or_default()));
    for object in &mut objects {
        let metadata = &mut object["metadata"];
        if metadata["namespace"].is_null() {
            metadata["namespace"] = NAMESPACE.into();
        }
    }
    let policy: ImagePolicy = read(wanted(&objects, arguments.name.as_deref())?)?;
    let mut kinds = objects.iter().map(|object| &object["kind"]);
    let has_automations = kinds.any(|kind| kind == "ImageUpdateAutomation");
    let namespaces = objects.iter().map(|object| {
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": object["metadata"]["namespace"]}})
    });
    let mut all: Vec<Value> = namespaces.collect();
    all.sort_by_key(|object| object["metadata"]["name"].to_string());
    all.dedup();
    all.extend(objects);
    serve::prepare(client, all).await?;
    subject(client, policy, has_automations, arguments).await
}

/// Returns the policy that is asked for, or the only one.
fn wanted<'o>(objects: &'o [Value], name: Option<&str>) -> anyhow::Result<&'o Value> {
    let is_wanted = |object: &&Value| {
        let field = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
        let full = format!("{}/{}", field("namespace"), field("name"));
        object["kind"] == "ImagePolicy"
            && name.is_none_or(|name| name == field("name") || name == full)
    };
    let mut found = objects.iter().filter(is_wanted);
    match (found.next(), found.next()) {
        (Some(policy), None) => Ok(policy),
        (None, _) => {
            let known = objects
                .iter()
                .filter(|object| object["kind"] == "ImagePolicy");
            let known = known.map(|object| &object["metadata"]);
            let known = known.map(|named| {
                let part = |key: &str| named[key].as_str().unwrap_or_default();
                format!("{}/{}", part("namespace"), part("name"))
            });
            let known = known.collect::<Vec<_>>().join(", ");
            Err(anyhow::anyhow!("the files hold no such ImagePolicy")).hint(match known.as_str() {
                "" => "they hold none at all; -f names the manifests of policies".to_owned(),
                known => format!("they hold {known}"),
            })
        }
        (Some(_), Some(_)) => Err(anyhow::anyhow!("the files hold several such ImagePolicies"))
            .hint("say which by NAMESPACE/NAME"),
    }
}

fn read<T: DeserializeOwned>(object: &Value) -> anyhow::Result<T> {
    let name = &object["metadata"]["name"];
    serde_json::from_value(object.clone()).with_context(|| {
        format!(
            "read {} {name}",
            object["kind"].as_str().unwrap_or_default()
        )
    })
}

/// Returns a policy with the tags that it chooses among.
async fn subject(
    client: &Client,
    policy: ImagePolicy,
    has_automations: bool,
    arguments: &Arguments,
) -> anyhow::Result<Subject> {
    let reference = &policy.spec.image_repository_ref;
    let own = policy.metadata.namespace.as_deref().unwrap_or_default();
    let namespace = reference.namespace.as_deref().unwrap_or(own);
    let repositories: Api<ImageRepository> = Api::namespaced(client.clone(), namespace);
    let repository = repositories.get_opt(&reference.name).await;
    let about = || format!("read the ImageRepository {namespace}/{}", reference.name);
    let repository = repository.with_context(about)?;
    let tags = match (&arguments.tags_file, &repository) {
        (Some(file), _) => {
            let mut tags = read_tags(file)?;
            // The order in which a scan keeps them.
            tags.sort_unstable_by(|a, b| b.cmp(a));
            tags.dedup();
            tags
        }
        (None, Some(repository)) => {
            let scanning = format!("scanning {}", repository.spec.image);
            let listing = controllers::list_tags(client, repository);
            progress::during(&scanning, listing).await?.to_strings()
        }
        (None, None) => {
            return Err(anyhow::anyhow!("there is none").context(about()))
                .hint("put it beside the policy, or give the tags with --tags-file");
        }
    };
    Ok(Subject {
        image: repository.map(|repository| repository.spec.image),
        policy,
        tags,
        has_automations,
    })
}

/// Reads tags: one a line, a JSON list, or an object with a list of tags, named or whole.
fn read_tags(file: &Path) -> anyhow::Result<Vec<String>> {
    let about = || format!("read the tags in {}", file.display());
    let size = std::fs::metadata(file).with_context(about)?.len();
    anyhow::ensure!(
        size <= TAGS_BYTES_MAX,
        "{}: larger than 64 MiB",
        file.display()
    );
    let text = std::fs::read_to_string(file).with_context(about)?;
    if !text.trim_start().starts_with(['{', '[']) {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        return Ok(lines.map(str::to_owned).collect());
    }
    let value: Value = serde_json::from_str(&text).with_context(about)?;
    let list = value.as_array().or_else(|| value["tags"].as_array());
    let list = list.with_context(|| format!("{}: no list of tags", file.display()))?;
    let tag = |tag: &Value| {
        let tag = tag.as_str().or_else(|| tag["tag"].as_str());
        let tag = tag.with_context(|| format!("{}: one of the list is no tag", file.display()));
        tag.map(str::to_owned)
    };
    list.iter().map(tag).collect()
}
