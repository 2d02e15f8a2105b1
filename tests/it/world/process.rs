//! The binary as people run it: a process with a data folder, seen through its kubeconfig.
//!
//! In: a data folder, manifests, variables. Out: a client, what the process says on stderr, and how
//! it ends. A process that is dropped is killed.

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use towpath::api::annotations::REQUESTED_AT;
use towpath::reconcile::Kind;

/// The longest that a test waits for what must come; long, since machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The namespace of the automation.
pub const FLUX: &str = "flux-system";

/// Returns a command for the binary that knows nothing of this machine's user.
pub fn towpath(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["TOWPATH_DATA", "TOWPATH_LOG", "DOCKER_CONFIG", "KUBECONFIG"] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent");
    command
}

/// A running `towpath run`.
pub struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    client: Client,
}

impl Process {
    /// Starts it on a folder and returns when it serves.
    pub async fn run(data: &Path, manifests: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = towpath(&["run", "--data"]);
        command.arg(data).arg("-f").arg(manifests);
        command.envs(variables.iter().copied());
        let (child, said) = serving(command, "Serving ").await;
        let client = client(&data.join("kubeconfig")).await;
        Self {
            child,
            said,
            client,
        }
    }

    /// Starts it on the cluster of a kubeconfig, with a folder of its own.
    pub async fn run_on(kubeconfig: &Path, data: &Path) -> Self {
        let mut command = towpath(&["run", "--data"]);
        command.arg(data).arg("--kubeconfig").arg(kubeconfig);
        let (child, said) = serving(command, "Serving ").await;
        Self {
            child,
            said,
            client: client(kubeconfig).await,
        }
    }

    /// Returns a client of its API.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it said on stderr so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("no reader panicked").clone()
    }

    /// Returns the kind's objects in the automation's namespace.
    pub fn flux<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client(), FLUX)
    }

    /// Asks for a reconciliation of the object, as `flux reconcile` does.
    pub async fn request<K: Kind>(&self, name: &str, word: &str) {
        assert!(self.ask::<K>(name, word).await, "the annotation is taken");
    }

    /// Asks for a reconciliation; returns whether anybody was there to take it.
    pub async fn ask<K: Kind>(&self, name: &str, word: &str) -> bool {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {REQUESTED_AT: word}}}));
        let (objects, parameters) = (self.flux::<K>(), PatchParams::default());
        objects.patch(name, &parameters, &patch).await.is_ok()
    }

    /// Asks for a reconciliation and waits until it was done.
    pub async fn reconcile<K: Kind>(&self, name: &str, word: &str) -> K {
        self.request::<K>(name, word).await;
        let handled = |object: &K| object.handled_request() == Some(word);
        self.until(self.flux::<K>(), name, handled).await
    }

    /// Waits by watch until the object is as wanted, and returns it.
    pub async fn until<K>(&self, api: Api<K>, name: &str, wanted: impl Fn(&K) -> bool) -> K
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let condition = |object: Option<&K>| object.is_some_and(&wanted);
        let found = await_condition(api.clone(), name, condition);
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found.expect("the watch goes on").expect("it is there"),
            Err(_) => panic!(
                "{name} did not become as wanted: {:#?}\n{}",
                api.get(name).await,
                self.said()
            ),
        }
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let waited = tokio::task::spawn_blocking(move || {
            let status = self.child.wait().expect("it is our child");
            (status, self.said())
        });
        let ended = tokio::time::timeout(PATIENCE, waited).await;
        ended.expect("it ends").expect("waiting does not panic")
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(self) -> (ExitStatus, String) {
        terminate(&self.child);
        self.ended().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM to a process.
pub fn terminate(child: &Child) {
    let kill = format!("kill -TERM {}", child.id());
    let status = Command::new("sh").args(["-c", &kill]).status();
    assert!(status.expect("there is a shell").success(), "{kill}");
}

/// Sends SIGKILL to a process.
pub fn kill(id: u32) {
    let killed = Command::new("kill").args(["-9", &id.to_string()]).status();
    assert!(killed.expect("there is kill").success());
}

/// Returns a client of a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = towpath::cluster::Cluster::from_kubeconfig(kubeconfig).await;
    cluster.expect("the kubeconfig reads").client()
}

/// Starts a command and waits for a line on its stderr that begins with `word`.
pub async fn serving(mut command: Command, word: &'static str) -> (Child, Arc<Mutex<String>>) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let said = Arc::<Mutex<String>>::default();
    let (told, heard) = tokio::sync::oneshot::channel();
    let text = Arc::clone(&said);
    std::thread::spawn(move || {
        let mut told = Some(told);
        for line in lines.map_while(Result::ok) {
            let mut text = text.lock().expect("no reader panicked");
            text.push_str(&line);
            text.push('\n');
            if line.starts_with(word)
                && let Some(told) = told.take()
            {
                // Nobody listens any more when the test has failed.
                let _ = told.send(());
            }
        }
    });
    let heard = tokio::time::timeout(PATIENCE, heard).await;
    if !matches!(heard, Ok(Ok(()))) {
        let _ = child.kill();
        panic!("it does not serve: {}", said.lock().expect("it reads"));
    }
    (child, said)
}
