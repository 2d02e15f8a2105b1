//! The demo's world: a folder, a registry, a Git server, and the product as it runs everywhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context;
use axum::extract::Request;
use axum::middleware::{self, Next};
use kube::Client;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::registry::Registry;
use super::{git_server, stand_in};
use crate::git::{Change, Git, Person, Pushed, Remote, Repository, Target};
use crate::serve::{self, Running};

/// The branch that is followed.
const BRANCH: &str = "main";
/// The marked file.
pub(super) const DEPLOYMENT: &str = "apps/deployment.yaml";

/// Everything that the demo started.
pub struct World {
    /// Where images are pushed to.
    pub registry: Registry,
    /// The API that holds all objects.
    pub client: Client,
    /// What the Git server was asked to take.
    pub pushes: Pushes,
    /// The product.
    pub running: Running,
    folder: PathBuf,
    fleet: Repository,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// When the last push reached the Git server, and when it was answered.
#[derive(Debug, Clone, Default)]
pub struct Pushes(Arc<Mutex<Option<(Instant, Instant)>>>);

impl Pushes {
    /// Returns when the last push arrived and when it was answered; nothing before the first.
    pub fn last(&self) -> Option<(Instant, Instant)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, times: (Instant, Instant)) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(times);
    }
}

impl World {
    /// Starts everything in `folder` and seeds it. Fails when an earlier demo left its files there.
    pub async fn start(folder: &Path, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let repositories = folder.join("git");
        anyhow::ensure!(
            !repositories.exists(),
            "{} holds an earlier demo; remove it or name another folder",
            folder.display()
        );
        std::fs::create_dir_all(&repositories)?;
        git_server::create(&repositories, "fleet.git")?;
        let registry = Registry::start().await.context("start the registry")?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("start the Git server")?;
        let url = format!("http://{}", listener.local_addr()?);
        let pushes = Pushes::default();
        let noted = pushes.clone();
        let router = git_server::router(repositories).layer(middleware::from_fn(
            move |request: Request, next: Next| note(noted.clone(), request, next),
        ));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "The Git server ended.");
            }
        });
        let git = Git::open(&folder.join("clone"))?;
        let fleet = git
            .repository(Remote::anonymous(&format!("{url}/fleet.git"))?)
            .await?;
        let fill = |text: &str| {
            text.replace("REGISTRY", &registry.host())
                .replace("GIT", &url)
        };
        seed(&fleet, &fill).await?;
        super::registry::push(&image(&registry), "1.0.0", b"1.0.0").await?;
        let objects = folder.join("objects.yaml");
        std::fs::write(&objects, fill(include_str!("fleet/objects.yaml")))?;
        let options = serve::Options {
            data: folder.join("data"),
            kubeconfig: None,
            kubeconfig_file: Some(folder.join("kubeconfig")),
            files: vec![objects],
            ..serve::Options::default()
        };
        let running = serve::start(options, shutdown).await?;
        let client = running.client();
        let stand_in = tokio::spawn(stand_in::run(client.clone()));
        Ok(Self {
            registry,
            client,
            pushes,
            running,
            folder: folder.to_owned(),
            fleet,
            _tasks: [serving, stand_in].map(AbortOnDropHandle::new),
        })
    }

    /// Pushes an image. Fails when the registry refuses it.
    pub async fn push_image(&self, tag: &str) -> anyhow::Result<()> {
        super::registry::push(&image(&self.registry), tag, tag.as_bytes()).await?;
        Ok(())
    }

    /// Returns the image's name without a tag.
    pub fn image(&self) -> String {
        image(&self.registry)
    }

    /// Returns the marked file as it is at the head of the branch. Fails when it cannot be fetched.
    pub async fn deployment_file(&self) -> anyhow::Result<String> {
        let head = crate::git::Selector::Branch(BRANCH.to_owned());
        let checkout = self.fleet.checkout(&head).await?;
        let path = crate::safe::SafePath::parse(DEPLOYMENT)?;
        let bytes = checkout
            .tree
            .reader()
            .read(&path)?
            .context("the Deployment is gone")?;
        Ok(String::from_utf8(bytes)?)
    }

    /// Commits and pushes new content of the marked file, as a person would. Fails when the push
    /// does not land.
    pub async fn commit(&self, content: String, message: &str) -> anyhow::Result<()> {
        let edits = BTreeMap::from([(DEPLOYMENT.to_owned(), content.into_bytes())]);
        push(&self.fleet, edits, message).await
    }

    /// Returns what a person can try while everything runs.
    pub fn what_to_try(&self) -> String {
        let folder = self.folder.display();
        let image = self.image();
        format!(
            "kubectl --kubeconfig {folder}/kubeconfig get \
             imagepolicies,imagerepositories,imageupdateautomations,gitrepositories,kustomizations -A\n\
             kubectl --kubeconfig {folder}/kubeconfig -n apps get deployment app -o wide\n\
             git -C {folder}/git/fleet.git log --stat\n\
             towpath tags {image} --insecure --semver 1.x\n"
        )
    }
}

fn image(registry: &Registry) -> String {
    format!("{}/acme/app", registry.host())
}

async fn note(pushes: Pushes, request: Request, next: Next) -> axum::response::Response {
    let is_push = request.uri().path().ends_with("/git-receive-pack");
    let began = Instant::now();
    let response = next.run(request).await;
    if is_push {
        pushes.note((began, Instant::now()));
    }
    response
}

async fn seed(fleet: &Repository, fill: &impl Fn(&str) -> String) -> anyhow::Result<()> {
    let files = [
        (DEPLOYMENT, include_str!("fleet/deployment.yaml")),
        (
            "apps/kustomization.yaml",
            include_str!("fleet/kustomization.yaml"),
        ),
        ("clusters/demo.yaml", include_str!("fleet/objects.yaml")),
    ];
    let edits = files.map(|(path, text)| (path.to_owned(), fill(text).into_bytes()));
    push(fleet, BTreeMap::from(edits), "Add the app").await
}

async fn push(
    fleet: &Repository,
    edits: BTreeMap<String, Vec<u8>>,
    message: &str,
) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let change = Change {
        edits,
        author: Person {
            name: "A person".to_owned(),
            email: "person@demo.example".to_owned(),
        },
        time_s: i64::try_from(now.as_secs())?,
        message: message.to_owned(),
        trailers: Vec::new(),
        signing_key: None,
    };
    let target = Target::branch(BRANCH);
    match fleet
        .push_with(&target, move |_| Ok(Some(change.clone())))
        .await?
    {
        Pushed::Landed(_) => Ok(()),
        other => anyhow::bail!("the push did not land: {other:?}"),
    }
}
