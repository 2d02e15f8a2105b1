//! A fleet as people have it: an image in Debian's docker-registry, manifests behind `git
//! http-backend` with a password, and the objects that tie them together.
//!
//! Out: a folder for `towpath run --data`, a file for `-f`, and what is in Git now.

use std::path::PathBuf;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};

use super::git::{GitServer, Options, Tls};
use super::registry::{DockerRegistry, Lock};

/// Who may fetch and push.
pub const USER: (&str, &str) = ("bob", "s3cret-of-git");
/// The bare repository.
pub const REPOSITORY: &str = "fleet.git";
/// The files with marks.
pub const MARKED: [&str; 2] = ["apps/app.yaml", "apps/worker.yaml"];

const APP: &str = include_str!("fleet/app.yaml");
const WORKER: &str = include_str!("fleet/worker.yaml");
const SETTINGS: &str = include_str!("fleet/settings.yaml");
const KUSTOMIZATION: &str = include_str!("fleet/kustomization.yaml");
const OBJECTS: &str = include_str!("fleet/objects.yaml");

/// Everything outside of Towpath.
pub struct Fleet {
    pub registry: DockerRegistry,
    pub git: GitServer,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts the servers with the image 1.0.0 and the manifests that name it.
    pub async fn start() -> Self {
        let registry = DockerRegistry::start(Lock::Open);
        let git = GitServer::start(Options {
            credentials: Some(USER),
            tls: Tls::No,
        })
        .await;
        git.create(REPOSITORY);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let fleet = Self {
            registry,
            git,
            folder,
        };
        fleet.push_image("1.0.0").await;
        let files = [
            (MARKED[0], APP),
            (MARKED[1], WORKER),
            ("apps/settings.yaml", SETTINGS),
            ("apps/kustomization.yaml", KUSTOMIZATION),
        ];
        let files = files.map(|(path, text)| (path, fleet.fill(text)));
        let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
        fleet.git.commit(REPOSITORY, "main", &files);
        std::fs::write(fleet.objects(), fleet.fill(OBJECTS)).expect("the folder is writable");
        fleet
    }

    /// Returns the file for `-f`.
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("objects.yaml")
    }

    /// Returns the folder for `--data`.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns the image's name without a tag.
    pub fn image(&self) -> String {
        format!("{}/acme/app", self.registry.host())
    }

    /// Pushes an image.
    pub async fn push_image(&self, tag: &str) {
        let pushed = towpath::cli::demo::registry::push(&self.image(), tag, tag.as_bytes()).await;
        pushed.expect("the registry takes the image");
    }

    /// Returns the text with the names of the servers in it.
    pub fn fill(&self, text: &str) -> String {
        let fleet = self.git.url(REPOSITORY);
        text.replace("IMAGE", &self.image())
            .replace("FLEET", &fleet)
    }

    /// Runs git in the repository.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git.git(REPOSITORY, arguments)
    }

    /// Returns the head of the branch.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "main"])
    }

    /// Returns how many commits there are.
    pub fn n_commits(&self) -> usize {
        let n = self.git(&["rev-list", "--count", "main"]);
        n.parse().expect("git counts")
    }

    /// Returns a file's bytes at a commit.
    pub fn blob(&self, commit: &str, path: &str) -> Vec<u8> {
        let name = format!("{commit}:{path}");
        let path = self.git.path(REPOSITORY);
        let output = super::git::command(&path, &["cat-file", "blob", &name]).output();
        output.expect("git runs").stdout
    }
}

/// Returns the Deployments that are applied.
pub fn deployments(client: Client) -> Api<Deployment> {
    Api::namespaced(client, "apps")
}

/// Returns the image of a Deployment's first container.
pub fn image_of(deployment: &Deployment) -> &str {
    let spec = deployment.spec.template.spec.as_ref();
    let container = spec.and_then(|spec| spec.containers.first());
    container
        .and_then(|container| container.image.as_deref())
        .unwrap_or_default()
}
