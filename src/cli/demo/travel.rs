//! One image's way: pushes a tag, asks for a scan and follows it hop by hop to the healthy object.
//!
//! In: a [`World`] whose first image is applied, and a tag that the policy chooses. Out: when each hop
//! was done. The demo shows one such way, the benchmark many.

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use tokio::time::Instant;

use super::hops::{Awaited, Hop, expect};
use super::objects::{deployments, flux, image_of, is_ready, request, revision_of, shows};
use super::world::World;
use crate::api::{
    GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization,
};

/// How an image came to be applied.
#[derive(Debug, Clone)]
pub struct Travel {
    /// When its push began.
    pub began: Instant,
    /// What happened then, in order. The first is its push, before anybody was told of it.
    pub hops: Vec<Hop>,
}

/// Waits until the first image is applied and healthy. Fails when that does not happen.
pub async fn first(world: &World) -> anyhow::Result<()> {
    let applied = expect(
        "first apply",
        flux::<Kustomization>(world),
        "apps",
        is_ready,
    );
    applied.done().await?;
    Ok(())
}

/// Pushes a tag, asks for a scan and follows it to the healthy Deployment. Fails with the hop that
/// did not happen.
pub async fn follow(world: &World, tag: &str) -> anyhow::Result<Travel> {
    let wanted = format!("{}:{tag}", world.image());
    let listed = tag.to_owned();
    let scanned = expect(
        "scan",
        flux::<ImageRepository>(world),
        "app",
        move |object| shows(object, &listed),
    );
    let latest = tag.to_owned();
    let chosen = expect("choice", flux::<ImagePolicy>(world), "app", move |object| {
        let status = object.status.as_ref();
        let chosen = status.and_then(|status| status.latest_ref.as_ref());
        chosen.is_some_and(|chosen| chosen.tag == latest)
    });
    let pushed = expect_push(flux(world)).await?;
    let stored = expect_artifact(flux(world)).await?;
    let applied = expect(
        "build and apply",
        deployments(world),
        "app",
        move |object: &Deployment| image_of(object) == Some(&wanted),
    );
    let healthy = expect_healthy(flux(world)).await?;

    let began = Instant::now();
    world.push_image(tag).await?;
    let mut hops = vec![Hop {
        name: "push of the image",
        at: Instant::now(),
    }];
    request::<ImageRepository>(world, "app").await?;
    for awaited in [scanned, chosen] {
        hops.push(awaited.done().await?);
    }
    let push = pushed.done().await?;
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
    for awaited in [stored, applied, healthy] {
        hops.push(awaited.done().await?);
    }
    Ok(Travel { began, hops })
}

async fn expect_push(api: Api<ImageUpdateAutomation>) -> anyhow::Result<Awaited> {
    let commit = |object: &ImageUpdateAutomation| {
        let status = object.status.as_ref();
        status.and_then(|status| status.last_push_commit.clone())
    };
    let last = commit(&api.get("fleet").await?);
    Ok(expect("push", api, "fleet", move |object| {
        let commit = commit(object);
        commit.is_some() && commit != last
    }))
}

async fn expect_artifact(api: Api<GitRepository>) -> anyhow::Result<Awaited> {
    let last = revision_of(&api.get("fleet").await?).map(str::to_owned);
    Ok(expect("artifact", api, "fleet", move |object| {
        revision_of(object).is_some_and(|revision| Some(revision) != last.as_deref())
    }))
}

async fn expect_healthy(api: Api<Kustomization>) -> anyhow::Result<Awaited> {
    let applied = |object: &Kustomization| {
        let status = object.status.as_ref();
        status.and_then(|status| status.last_applied_revision.clone())
    };
    let last = applied(&api.get("apps").await?);
    Ok(expect("healthy", api, "apps", move |object| {
        is_ready(object) && applied(object) != last
    }))
}
