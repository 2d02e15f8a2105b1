//! IS1: nothing that is said or kept for people holds a secret.
//!
//! Every Secret and URL that the program reads carries a canary, in rooms that work and in rooms that
//! fail. Logs down to trace, conditions, events and what commands print are searched for all of them, as
//! they are and as they are encoded on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;
use towpath::api::{
    GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization,
};
use towpath::reconcile::Kind;

use crate::world::fleet::{Fleet, USER, deployments, image_of};
use crate::world::process::{Process, towpath};

/// What every canary begins with.
const CANARY: &str = "c4nary";
/// Objects whose Secrets and URLs hold canaries. Most of them fail, each at another place.
const OBJECTS: &str = include_str!("secrets.yaml");

/// Returns the forms in which a secret could show.
fn forms(secret: &str) -> Vec<String> {
    let plain = STANDARD.encode(secret);
    let basic = STANDARD.encode(format!("{}:{secret}", USER.0));
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    // The last letters of base64 depend on what follows.
    let stem = |text: &str| text.trim_end_matches('=')[..text.len() * 3 / 4].to_owned();
    vec![secret.to_owned(), stem(&plain), stem(&basic), hex]
}

/// Fails where a corpus holds a secret; shows what stands around it, never the secret.
fn search(corpus: &[(String, String)]) {
    let mut found = Vec::new();
    let secrets = [CANARY, USER.1];
    for (place, text) in corpus {
        for form in secrets.iter().flat_map(|secret| forms(secret)) {
            for (at, _) in text.match_indices(&form) {
                let before = text[..at].rsplit('\n').next().unwrap_or_default();
                found.push(format!("{place}: {before:.300}***"));
            }
        }
    }
    assert!(
        found.is_empty(),
        "secrets are told:\n  {}",
        found.join("\n  ")
    );
}

/// Returns the status of every object of a kind.
async fn statuses<K: Kind + serde::Serialize>(client: &Client) -> Vec<(String, String)> {
    let objects = Api::<K>::all(client.clone())
        .list(&ListParams::default())
        .await;
    let status = |object: &K| {
        let value = serde_json::to_value(object).expect("it came from JSON");
        let name = value["metadata"]["name"].to_string();
        (
            format!("status of {} {name}", K::kind(&())),
            format!("{:#}", value["status"]),
        )
    };
    objects.expect("it is served").iter().map(status).collect()
}

fn said(arguments: &[&str]) -> (String, String) {
    let output = towpath(arguments).output().expect("the binary starts");
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (format!("towpath {}", arguments.join(" ")), text.concat())
}

/// Returns a docker configuration with a canary.
fn docker_config(fleet: &Fleet) -> Value {
    serde_json::json!({"auths": {fleet.registry.host(): {
        "username": "bob", "password": "c4nary-of-docker-config"}}})
}

/// Lets every object that holds a canary have its pass.
async fn meet_canaries(process: &Process) {
    let canaries = |kind: &str| {
        let all = yaml::to_values(OBJECTS).expect("it is YAML");
        let names = all.iter().filter(|object| object["kind"] == kind);
        let names = names.filter_map(|object| object["metadata"]["name"].as_str());
        names.map(str::to_owned).collect::<Vec<String>>()
    };
    let mut n_failed = 0;
    for name in canaries("ImageRepository") {
        process.reconcile::<ImageRepository>(&name, "once").await;
        n_failed += 1;
    }
    for name in canaries("GitRepository") {
        process.reconcile::<GitRepository>(&name, "once").await;
        n_failed += 1;
    }
    for name in canaries("ImageUpdateAutomation") {
        process
            .reconcile::<ImageUpdateAutomation>(&name, "once")
            .await;
        n_failed += 1;
    }
    assert!(n_failed >= 8, "{n_failed} objects hold canaries");
}

#[tokio::test(flavor = "multi_thread")]
async fn is1_no_secret_is_in_logs_status_events_or_what_commands_print() {
    let fleet = Fleet::start().await;
    let objects = std::fs::read_to_string(fleet.objects()).expect("it is written");
    let all = format!("{objects}\n---\n{}", fleet.fill(OBJECTS));
    std::fs::write(fleet.objects(), &all).expect("the folder is writable");
    let variables = [("TOWPATH_LOG", "trace"), ("RUST_BACKTRACE", "1")];
    let process = Process::run(&fleet.data(), &fleet.objects(), &variables).await;
    let first = format!("{}:1.0.0", fleet.image());
    let is_first = |deployment: &_| image_of(deployment) == first;
    process
        .until(deployments(process.client()), "app", is_first)
        .await;
    meet_canaries(&process).await;
    let client = process.client();
    let mut corpus = statuses::<ImageRepository>(&client).await;
    corpus.extend(statuses::<ImagePolicy>(&client).await);
    corpus.extend(statuses::<ImageUpdateAutomation>(&client).await);
    corpus.extend(statuses::<GitRepository>(&client).await);
    corpus.extend(statuses::<Kustomization>(&client).await);
    let failures = corpus
        .iter()
        .filter(|(_, text)| text.contains("\"status\": \"False\""));
    assert!(
        failures.count() >= 5,
        "the canaries make things fail: {corpus:#?}"
    );
    let events = Api::<Event>::all(client).list(&ListParams::default()).await;
    let events = events.expect("they are served");
    assert!(events.items.len() >= 5, "{} events", events.items.len());
    corpus.push(("events".to_owned(), format!("{events:#?}")));

    let (file, data) = (fleet.objects(), fleet.data());
    let config = fleet.data().join("config.json");
    std::fs::write(&config, docker_config(&fleet).to_string()).expect("the folder is writable");
    let [file, data, config] =
        [&file, &data, &config].map(|path| path.to_str().expect("it is text"));
    let image = fleet.image();
    corpus.push(said(&[
        "tags",
        &image,
        "--log",
        "trace",
        "--docker-config",
        config,
    ]));
    corpus.push(said(&["update", "-f", file, "--dry-run", "--log", "trace"]));
    corpus.push(said(&[
        "policy", "explain", "app", "--data", data, "--log", "trace",
    ]));
    corpus.push(said(&[
        "policy", "explain", "canary", "-f", file, "--log", "trace",
    ]));
    corpus.push(said(&["lint", file]));
    let (_, log) = process.terminate().await;
    assert!(
        log.contains("TRACE") && log.lines().count() > 100,
        "{log:.2000}"
    );
    corpus.push(("log".to_owned(), log));
    search(&corpus);
}

#[test]
fn is1_the_search_finds_each_form() {
    for text in [
        "password c4nary-of-git".to_owned(),
        format!(
            "Authorization: Basic {}",
            STANDARD.encode("bob:c4nary-of-git")
        ),
        STANDARD.encode("c4nary-of-git"),
        "63346e617279".to_owned(),
    ] {
        let found = std::panic::catch_unwind(|| search(&[("here".to_owned(), text.clone())]));
        assert!(found.is_err(), "{text}");
    }
}
