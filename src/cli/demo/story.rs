//! What the demo shows, step by step; each step waits until it is really so.

use std::fmt::Write as _;

use anyhow::Context;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use super::hops::{expect, milliseconds, rows};
use super::objects::{deployments, flux, image_of, request, shows};
use super::travel;
use super::world::{DEPLOYMENT, World};
use crate::api::{GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation};
use crate::cli::output;
use crate::policy::Policy;

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
    travel::first(world)
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
async fn update(world: &World, tag: &str) -> anyhow::Result<String> {
    let before = world.deployment_file().await?;
    let travel = travel::follow(world, tag)
        .await
        .map_err(|error| explain(world, error))?;
    let after = world.deployment_file().await?;
    say(&format!("  the commit to {DEPLOYMENT}:"));
    say(&difference(&before, &after));
    let rows = rows(travel.began, &travel.hops);
    for hop in &rows {
        say(&format!(
            "  {:<18} {:>10}   after {:>10}",
            hop[0], hop[1], hop[2]
        ));
    }
    anyhow::ensure!(
        live_image(world).await? == format!("{}:{tag}", world.image()),
        "the new image is not applied"
    );
    Ok(output::table(&["HOP", "TIME", "SINCE THE PUSH"], &rows))
}

async fn refusal(world: &World, tag: &'static str) -> anyhow::Result<()> {
    let scanned = expect(
        "scan",
        flux::<ImageRepository>(world),
        "app",
        move |object| shows(object, tag),
    );
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

async fn live_image(world: &World) -> anyhow::Result<String> {
    let deployment = deployments(world)
        .get("app")
        .await
        .context("read the Deployment")?;
    image_of(&deployment)
        .cloned()
        .context("the Deployment has no image")
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
