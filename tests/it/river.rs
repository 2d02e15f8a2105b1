//! The main job as people run it: `towpath run` between a real registry and a real Git server.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use towpath::api::{
    GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization,
};

use crate::world::fleet::{Fleet, MARKED, REPOSITORY, USER, deployments, image_of};
use crate::world::keys::SshKey;
use crate::world::process::{Process, towpath};
use crate::world::sshd::{Options, Sshd};

/// The longest that `towpath run` takes to end.
const END_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_tag_is_committed_and_applied_once() {
    let fleet = Fleet::start().await;
    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    let first = format!("{}:1.0.0", fleet.image());
    let is_first = |deployment: &_| image_of(deployment) == first;
    process
        .until(deployments(process.client()), "app", is_first)
        .await;
    let before = fleet.head();
    let kubeconfig = std::fs::metadata(fleet.data().join("kubeconfig"));
    let mode = kubeconfig.expect("it is written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the kubeconfig is its owner's");

    fleet.push_image("1.1.0").await;
    process.request::<ImageRepository>("app", "the tag").await;
    let second = format!("{}:1.1.0", fleet.image());
    let is_second = |deployment: &_| image_of(deployment) == second;
    for name in ["app", "worker"] {
        process
            .until(deployments(process.client()), name, is_second)
            .await;
    }
    check_commit(&fleet, &before);

    let settled = settle(&process, "settle").await;
    let head = fleet.head();
    assert_eq!(settle(&process, "again").await, settled);
    assert_eq!(fleet.head(), head, "a second request commits nothing");

    let began = Instant::now();
    let (status, said) = process.terminate().await;
    assert!(began.elapsed() < END_MAX, "{:?}", began.elapsed());
    assert_eq!(status.code(), Some(0), "{said}");

    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    assert_eq!(settle(&process, "restarted").await, settled);
    assert_eq!(fleet.head(), head, "a restart commits nothing");
    let (status, said) = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{said}");
}

/// Fails unless there is one commit more, which changed the marked scalars' bytes and nothing else.
fn check_commit(fleet: &Fleet, before: &str) {
    let head = fleet.head();
    assert_eq!(fleet.git(&["rev-parse", "main^"]), before);
    let changed = fleet.git(&["diff", "--name-only", before, &head]);
    assert_eq!(changed.lines().collect::<Vec<_>>(), MARKED);
    let image = fleet.image();
    for (path, quote) in MARKED.into_iter().zip(["'", ""]) {
        let old = String::from_utf8(fleet.blob(before, path)).expect("it is text");
        let marked = |tag: &str| format!("{quote}{image}:{tag}{quote} ");
        let wanted = old.replace(&marked("1.0.0"), &marked("1.1.0"));
        assert_ne!(wanted, old, "{path}: the test finds the marked scalar");
        let new = String::from_utf8(fleet.blob(&head, path)).expect("it is text");
        assert_eq!(new, wanted, "{path}");
    }
    fleet.git.check(REPOSITORY);
}

/// Reconciles everything and returns the versions of what is applied.
async fn settle(process: &Process, word: &str) -> Vec<Option<String>> {
    process.reconcile::<ImageRepository>("app", word).await;
    process.reconcile::<ImagePolicy>("app", word).await;
    process
        .reconcile::<ImageUpdateAutomation>("fleet", word)
        .await;
    process.reconcile::<GitRepository>("fleet", word).await;
    process.reconcile::<Kustomization>("apps", word).await;
    let mut versions = Vec::new();
    for name in ["app", "worker"] {
        let applied = deployments(process.client()).get(name).await;
        versions.push(applied.expect("it is applied").resource_version());
    }
    versions
}

/// Writes the fleet's objects anew so that their repository is reached over ssh by key.
fn name_repository_by_ssh(fleet: &Fleet, sshd: &Sshd) {
    let url = fleet.git.url(REPOSITORY);
    let objects = std::fs::read_to_string(fleet.objects()).expect("it is written");
    let objects = objects.replace(&url, &sshd.url(&fleet.git.path(REPOSITORY)));
    let data: serde_json::Map<_, _> = sshd
        .secret()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let data = serde_json::Value::Object(data);
    let basic = format!(
        "stringData:\n  username: {}\n  password: {}\n",
        USER.0, USER.1
    );
    let with_key = objects.replace(&basic, &format!("stringData: {data}\n"));
    assert_ne!(with_key, objects);
    std::fs::write(fleet.objects(), with_key).expect("the folder is writable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_tag_is_committed_and_applied_over_ssh() {
    let fleet = Fleet::start().await;
    let sshd = Sshd::start(Options::default()).await;
    name_repository_by_ssh(&fleet, &sshd);
    fleet.git.take_requests();

    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    let before = fleet.head();
    let first = format!("{}:1.0.0", fleet.image());
    let is_first = |deployment: &_| image_of(deployment) == first;
    let applied = deployments(process.client());
    process.until(applied, "app", is_first).await;
    fleet.push_image("1.1.0").await;
    process.request::<ImageRepository>("app", "the tag").await;
    let second = format!("{}:1.1.0", fleet.image());
    let is_second = |deployment: &_| image_of(deployment) == second;
    let applied = deployments(process.client());
    process.until(applied, "app", is_second).await;
    check_commit(&fleet, &before);
    assert_eq!(fleet.git.take_requests(), [""; 0], "all went over ssh");
    let (status, said) = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{said}");
}

/// Runs a command that must be done; returns its stdout and stderr.
fn done(arguments: &[&str]) -> (String, String) {
    let output = towpath(arguments).output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    (stdout, stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_without_a_cluster_commits_once() {
    let fleet = Fleet::start().await;
    let before = fleet.head();
    fleet.push_image("1.1.0").await;
    let objects = fleet.objects();
    let objects = objects.to_str().expect("the path is text");
    let (stdout, _) = done(&["update", "-f", objects, "--dry-run"]);
    for path in MARKED {
        assert!(stdout.contains(&format!("+++ b/{path}\n")), "{stdout}");
    }
    let image = fleet.image();
    assert!(
        stdout.contains(&format!("+                image:   '{image}:1.1.0' ")),
        "{stdout}"
    );
    assert_eq!(fleet.head(), before, "a dry run commits nothing");

    let (stdout, _) = done(&["update", "-f", objects]);
    check_commit(&fleet, &before);
    let head = fleet.head();
    let pushed = format!("flux-system/fleet: pushed {head}\n");
    assert!(stdout.ends_with(&pushed), "{stdout}");
    let (stdout, stderr) = done(&["update", "-f", objects]);
    assert_eq!(stdout, "");
    assert!(stderr.contains("flux-system/fleet: up to date"), "{stderr}");
    assert_eq!(fleet.head(), head, "a second run commits nothing");

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join(MARKED[0]);
    std::fs::create_dir(folder.path().join("apps")).expect("the folder is writable");
    std::fs::write(&file, fleet.blob(&before, MARKED[0])).expect("the folder is writable");
    let path = folder.path().to_str().expect("the path is text");
    done(&["update", "-f", objects, "--path", path]);
    let written = std::fs::read(&file).expect("the file is there");
    assert_eq!(written, fleet.blob(&head, MARKED[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_with_a_data_folder_fetches_and_reads_nothing_twice() {
    let fleet = Fleet::start().await;
    fleet.push_image("1.1.0").await;
    let (objects, data) = (fleet.objects(), fleet.data());
    let [objects, data] = [&objects, &data].map(|path| path.to_str().expect("the path is text"));
    let look = || {
        let (stdout, _) = done(&["update", "-f", objects, "--data", data, "--dry-run"]);
        let requests = fleet.git.take_requests();
        let n_posts = requests.iter().filter(|r| r.starts_with("POST ")).count();
        let known = std::fs::read(fleet.data().join("markers/markers"));
        (stdout, known.expect("it is kept"), n_posts)
    };
    let (first, known, n_posts) = look();
    assert!(first.contains(&format!("+++ b/{}\n", MARKED[0])), "{first}");
    assert!(
        known.len() > 300,
        "the folder and its files: {}",
        known.len()
    );
    // The references are asked for, and nothing is fetched.
    assert_eq!(look(), (first, known, n_posts - 1));
    done(&["update", "-f", objects, "--data", data]);
    assert_eq!(fleet.n_commits(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_over_ssh_commits_once() {
    let fleet = Fleet::start().await;
    let sshd = Sshd::start(Options::default()).await;
    name_repository_by_ssh(&fleet, &sshd);
    fleet.push_image("1.1.0").await;
    let before = fleet.head();
    fleet.git.take_requests();
    let objects = fleet.objects();
    let objects = objects.to_str().expect("the path is text");
    done(&["update", "-f", objects]);
    check_commit(&fleet, &before);
    let head = fleet.head();
    done(&["update", "-f", objects]);
    assert_eq!(fleet.head(), head, "a second run commits nothing");
    assert_eq!(fleet.git.take_requests(), [""; 0], "all went over ssh");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_signs_its_commit_with_the_key_of_the_secret() {
    let fleet = Fleet::start().await;
    fleet.push_image("1.1.0").await;
    let pair = SshKey::ed25519();
    let objects = std::fs::read_to_string(fleet.objects()).expect("it is written");
    let signing = "    commit:\n      signingKey: {type: ssh, secretRef: {name: signing}}\n";
    let signed = objects.replace("    commit:\n", signing);
    assert_ne!(signed, objects);
    let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "signing", "namespace": "flux-system"},
        "stringData": {"identity": pair.private_key()}});
    let signed = format!("{signed}\n---\n{secret}\n");
    std::fs::write(fleet.objects(), signed).expect("the folder is writable");
    done(&[
        "update",
        "-f",
        fleet.objects().to_str().expect("it is text"),
    ]);
    assert_eq!(fleet.n_commits(), 2);
    let allowed = pair.path().with_extension("allowed");
    let line = format!("towpath@example.com {}\n", pair.public_key());
    std::fs::write(&allowed, line).expect("the folder is writable");
    let set = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    fleet.git(&["-c", &set, "verify-commit", "main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_may_not_push_fails_without_the_password() {
    let fleet = Fleet::start().await;
    fleet.push_image("1.1.0").await;
    let objects = std::fs::read_to_string(fleet.objects()).expect("it is written");
    let wrong = objects.replace(USER.1, "wr0ng-s3cret");
    assert_ne!(wrong, objects);
    std::fs::write(fleet.objects(), wrong).expect("the folder is writable");
    let mut command = towpath(&["update", "-f"]);
    let output = command.arg(fleet.objects()).output();
    let output = output.expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: "), "{stderr}");
    assert!(stderr.contains(REPOSITORY), "{stderr}");
    assert!(!stderr.contains("wr0ng"), "{stderr}");
    assert_eq!(fleet.n_commits(), 1);
}

#[test]
fn the_demo_does_the_whole_job_and_leaves_nothing() {
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = towpath(&["demo"]);
    let output = command.env("TMPDIR", temporary.path()).output();
    let output = output.expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    for text in [
        "/acme/app:1.0.0 is applied",
        "(no container runs here",
        "/acme/app:1.1.0\" # {\"$imagepolicy\": \"flux-system:app\"}",
        "2.0.0    is outside of the range",
        "by-hand:1 was seen and replaced",
        "/acme/app:1.0.0 is applied again",
    ] {
        assert!(stdout.contains(text), "{text:?} in {stdout}");
    }
    let (_, table) = stdout.split_once("\nHOP ").expect("it ends with a table");
    let hops: Vec<_> = table
        .lines()
        .skip(1)
        .map(|line| line.split("  ").next())
        .collect();
    let want = [
        "push of the image",
        "scan",
        "choice",
        "diff and commit",
        "push",
        "artifact",
        "build and apply",
        "healthy",
    ];
    assert_eq!(hops, want.map(Some), "{table}");
    let left = std::fs::read_dir(temporary.path())
        .expect("it is there")
        .count();
    assert_eq!(left, 0, "files are left");
}
