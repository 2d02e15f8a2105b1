//! What the demo shows, step by step; each step waits until it is really so.

use std::fmt::Write as _;

use anyhow::Context;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

use super::hops::{Awaited, Hop, expect, milliseconds, rows};
use super::world::{DEPLOYMENT, World};
use crate::api::annotations::REQUESTED_AT;
use crate::api::conditions::READY;
use crate::api::{
    ConditionStatus, GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation,
    Kustomization,
};
use crate::cli::output;
use crate::policy::Policy;
use crate::reconcile::Kind;

const NAMESPACE: &str = "flux-system";

/// Tells the whole story. Fails with the hop that did not happen.
pub(super) async fn tell(world: &World) -> anyhow::Result<()> {
    say("Waiting for the first image to be applied and healthy.");
    first(world).await?;
    say("\nPushing 1.1.0, which the policy 1.x allows.");
    let times = update(world, "1.1.0").await?;
    say("\nPushing 2.0.0, which it does not.");
    refusal(world, "2.0.0").await?;
    say("\nChanging the live Deployment by hand.");
    repair(world, "1.1.0").await?;
    say("\nSuspending the automation and reverting the commit in Git.");
    roll_back(world, "1.0.0").await?;
    say("\nFrom the push of 1.1.0 to the healthy Deployment:\n");
    output::text_out(&times)?;
    Ok(())
}

fn say(line: &str) {
    anstream::println!("{line}");
}

async fn first(world: &World) -> anyhow::Result<()> {
    let began = Instant::now();
    let applied = expect(
        "first apply",
        flux::<Kustomization>(world),
        "apps",
        is_ready,
    );
    applied
        .done()
        .await
        .map_err(|error| explain(world, error))?;
    let image = live_image(world).await?;
    say(&format!(
        "  {image} is applied, {} after the start",
        since(began)
    ));
    say("  (no container runs here: the demo reports the Deployment ready in its stead)");
    Ok(())
}

/// Pushes a tag and follows it; returns the table of the hops' times.
async fn update(world: &World, tag: &'static str) -> anyhow::Result<String> {
    let before = world.deployment_file().await?;
    let image = format!("{}:{tag}", world.image());
    let Way {
        reflector,
        push,
        rest,
    } = way(world, tag, image.clone()).await?;
    let began = Instant::now();
    world.push_image(tag).await?;
    request::<ImageRepository>(world, "app").await?;
    let mut hops = vec![Hop {
        name: "push of the image",
        at: Instant::now(),
    }];
    let lost = |error| explain(world, error);
    for awaited in reflector {
        hops.push(awaited.done().await.map_err(lost)?);
    }
    let push = push.done().await.map_err(lost)?;
    if let Some((arrived, answered)) = world.pushes.last() {
        hops.push(Hop {
            name: "diff and commit",
            at: arrived,
        });
        hops.push(Hop {
            name: push.name,
            at: answered,
        });
    }
    for awaited in rest {
        hops.push(awaited.done().await.map_err(lost)?);
    }
    let after = world.deployment_file().await?;
    say(&format!("  the commit to {DEPLOYMENT}:"));
    say(&difference(&before, &after));
    for hop in rows(began, &hops) {
        say(&format!(
            "  {:<18} {:>10}   after {:>10}",
            hop[0], hop[1], hop[2]
        ));
    }
    anyhow::ensure!(
        live_image(world).await? == image,
        "the new image is not applied"
    );
    Ok(output::table(
        &["HOP", "TIME", "SINCE THE PUSH"],
        &rows(began, &hops),
    ))
}

/// The hops of an image's way, awaited.
struct Way {
    /// Scan and choice.
    reflector: [Awaited; 2],
    /// The push of the commit.
    push: Awaited,
    /// Artifact, apply, health.
    rest: [Awaited; 3],
}

/// Begins to await every hop of a tag's way.
async fn way(world: &World, tag: &'static str, image: String) -> anyhow::Result<Way> {
    let policies = flux::<ImagePolicy>(world);
    let chosen = expect("choice", policies, "app", move |object| {
        let latest = object.status.as_ref().and_then(|s| s.latest_ref.as_ref());
        latest.is_some_and(|latest| latest.tag == tag)
    });
    let automations = flux::<ImageUpdateAutomation>(world);
    let last = automations.get("fleet").await?.status;
    let last = last.and_then(|status| status.last_push_commit);
    let pushed = expect("push", automations, "fleet", move |object| {
        let status = object.status.as_ref();
        let commit = status.and_then(|status| status.last_push_commit.clone());
        commit.is_some() && commit != last
    });
    let sources = flux::<GitRepository>(world);
    let last = revision_of(&sources.get("fleet").await?).map(str::to_owned);
    let stored = expect("artifact", sources, "fleet", move |object| {
        revision_of(object).is_some_and(|revision| Some(revision) != last.as_deref())
    });
    let applied = expect(
        "build and apply",
        deployments(world),
        "app",
        move |object| image_of(object) == Some(&image),
    );
    Ok(Way {
        reflector: [scanned(world, tag), chosen],
        push: pushed,
        rest: [stored, applied, expect_applied_revision(world).await?],
    })
}

fn scanned(world: &World, tag: &'static str) -> Awaited {
    let repositories = flux::<ImageRepository>(world);
    expect("scan", repositories, "app", move |object| {
        let status = object.status.as_ref();
        let scan = status.and_then(|status| status.last_scan_result.as_ref());
        scan.is_some_and(|scan| scan.latest_tags.iter().any(|latest| latest == tag))
    })
}

async fn expect_applied_revision(world: &World) -> anyhow::Result<Awaited> {
    let api = flux::<Kustomization>(world);
    let last = api
        .get("apps")
        .await?
        .status
        .and_then(|status| status.last_applied_revision);
    Ok(expect("healthy", api, "apps", move |object| {
        let applied = object
            .status
            .as_ref()
            .and_then(|s| s.last_applied_revision.clone());
        is_ready(object) && applied != last
    }))
}

async fn refusal(world: &World, tag: &'static str) -> anyhow::Result<()> {
    let scanned = scanned(world, tag);
    world.push_image(tag).await?;
    request::<ImageRepository>(world, "app").await?;
    scanned
        .done()
        .await
        .map_err(|error| explain(world, error))?;
    let repository = flux::<ImageRepository>(world).get("app").await?;
    let tags = repository.status.and_then(|status| status.last_scan_result);
    let tags = tags.map(|scan| scan.latest_tags).unwrap_or_default();
    let object = flux::<ImagePolicy>(world).get("app").await?;
    let explanation = Policy::from_spec(&object.spec)?.explain(tags.iter().map(String::as_str));
    for verdict in &explanation.verdicts {
        say(&format!("  {:<8} {}", verdict.tag, verdict.outcome));
    }
    let latest = object
        .status
        .and_then(|status| status.latest_ref)
        .map(|latest| latest.tag);
    anyhow::ensure!(latest.as_deref() != Some(tag), "the policy chose {tag}");
    Ok(())
}

async fn repair(world: &World, tag: &str) -> anyhow::Result<()> {
    let wanted = format!("{}:{tag}", world.image());
    let began = Instant::now();
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "app", "image": "by-hand:1"}]}}}});
    let params = PatchParams {
        field_manager: Some("somebody".into()),
        ..Default::default()
    };
    let api = deployments(world);
    api.patch("app", &params, &Patch::Strategic(patch))
        .await
        .context("change the Deployment")?;

    let repaired = expect("repair", api, "app", move |object| {
        image_of(object) == Some(&wanted)
    });
    repaired
        .done()
        .await
        .map_err(|error| explain(world, error))?;
    say(&format!(
        "  by-hand:1 was seen and replaced in {}",
        since(began)
    ));
    Ok(())
}

async fn roll_back(world: &World, tag: &str) -> anyhow::Result<()> {
    let automations = flux::<ImageUpdateAutomation>(world);
    let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
    automations
        .patch("fleet", &PatchParams::default(), &suspend)
        .await?;
    let wanted = format!("{}:{tag}", world.image());
    let image = wanted.clone();
    let applied = expect("rollback", deployments(world), "app", move |object| {
        image_of(object) == Some(&image)
    });
    let current = world.deployment_file().await?;
    let newer = live_image(world).await?;
    let began = Instant::now();
    world
        .commit(current.replace(&newer, &wanted), "Revert the update")
        .await?;
    request::<GitRepository>(world, "fleet").await?;
    applied
        .done()
        .await
        .map_err(|error| explain(world, error))?;
    say(&format!(
        "  {wanted} is applied again, {} after the commit",
        since(began)
    ));
    Ok(())
}

fn flux<K>(world: &World) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(world.client.clone(), NAMESPACE)
}

fn deployments(world: &World) -> Api<Deployment> {
    Api::namespaced(world.client.clone(), "apps")
}

fn is_ready<K: Kind>(object: &K) -> bool {
    let ready = object
        .conditions()
        .iter()
        .find(|condition| condition.type_ == READY);
    ready.is_some_and(|ready| ready.status == ConditionStatus::True)
}

fn image_of(deployment: &Deployment) -> Option<&String> {
    let spec = deployment.spec.template.spec.as_ref()?;
    spec.containers.first()?.image.as_ref()
}

async fn live_image(world: &World) -> anyhow::Result<String> {
    let deployment = deployments(world)
        .get("app")
        .await
        .context("read the Deployment")?;
    image_of(&deployment)
        .cloned()
        .context("the Deployment has no image")
}

fn revision_of(object: &GitRepository) -> Option<&str> {
    Some(object.status.as_ref()?.artifact.as_ref()?.revision.as_str())
}

/// Asks for a reconciliation now, as a webhook or `flux reconcile` does.
async fn request<K>(world: &World, name: &str) -> anyhow::Result<()>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
    K::DynamicType: Default,
{
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let patch = Patch::Merge(json!({"metadata": {"annotations": {REQUESTED_AT: now}}}));
    flux::<K>(world)
        .patch(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

fn since(began: Instant) -> String {
    milliseconds(began.elapsed())
}

/// Returns the lines that differ; the two texts have the same lines but for those.
fn difference(before: &str, after: &str) -> String {
    let mut text = String::new();
    for (old, new) in before
        .lines()
        .zip(after.lines())
        .filter(|(old, new)| old != new)
    {
        let _ = writeln!(text, "    -{old}");
        let _ = writeln!(text, "    +{new}");
    }
    text.trim_end().to_owned()
}

/// Adds where to look to a hop that did not happen.
fn explain(world: &World, error: anyhow::Error) -> anyhow::Error {
    error.context(format!(
        "see the objects' conditions: {}",
        world.running.description()
    ))
}
