//! Two processes on one cluster, which know nothing of each other: both see the same tag at the same
//! time, both edit, both push. One commit is made.

use towpath::api::{ImageRepository, ImageUpdateAutomation};

use crate::world::fleet::{Fleet, REPOSITORY};
use crate::world::process::{FLUX, Process};

/// Tags that are pushed, one after the other.
const TAGS: usize = 10;
/// Tells of each push and holds it for a while, so that the other one comes in between.
const SLOW: &str = "echo pushed >> \"$GIT_DIR/pushes\"; sleep 0.2";

#[tokio::test(flavor = "multi_thread")]
async fn gt11_two_processes_on_one_automation_make_one_commit() {
    let fleet = Fleet::start().await;
    fleet.git.hook(REPOSITORY, "pre-receive", SLOW);
    let one = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let other = Process::run_on(&fleet.data().join("kubeconfig"), folder.path()).await;
    for n in 1..=TAGS {
        let tag = format!("1.{n}.0");
        fleet.push_image(&tag).await;
        one.request::<ImageRepository>("app", &tag).await;
        let is_recorded = |object: &ImageUpdateAutomation| {
            let status = object.status.as_ref();
            let latest = status.and_then(|status| status.observed_policies.get("app"));
            latest.is_some_and(|latest| latest.tag == tag)
        };
        let automations = one.flux::<ImageUpdateAutomation>();
        let settled = one.until(automations, "fleet", is_recorded).await;
        let commit = settled.status.and_then(|status| status.last_push_commit);
        assert_eq!(commit, Some(fleet.head()), "{FLUX}/fleet tells of {tag}");
    }
    // Both have a turn once more, and nothing left to do.
    one.reconcile::<ImageUpdateAutomation>("fleet", "last")
        .await;
    for process in [other, one] {
        let (status, said) = process.terminate().await;
        assert_eq!(status.code(), Some(0), "{said}");
    }
    assert_eq!(fleet.n_commits(), 1 + TAGS);
    let pushes = std::fs::read_to_string(fleet.git.path(REPOSITORY).join("pushes"));
    let n_pushes = pushes.expect("the hook ran").lines().count();
    println!("{TAGS} tags, {n_pushes} pushes");
    assert!(n_pushes > TAGS, "the two never met: {n_pushes} pushes");
    fleet.git.check(REPOSITORY);
}
