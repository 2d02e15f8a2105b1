//! HC9: names and texts from outside that would act on a terminal, end a line or turn its direction.

use serde_json::{Value, json};
use towpath::api::ImageRepository;

use crate::reconcile::stage::{Stage, lines};
use crate::world::process::towpath;
use crate::world::registry::{Scripted, answer};

/// Turns the direction of what follows; no control character, and text for a registry.
const TURNED: &str = "1.0.0\u{202e}gpj";
/// What clears a screen.
const CLEAR: &str = "\u{1b}[2J";

fn stdout_and_stderr(arguments: &[&str]) -> (String, String) {
    let output = towpath(arguments).output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    (text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn hc9_hostile_tags_are_written_out_on_a_terminal_and_whole_for_programs() {
    let tags = json!({"name": "acme/app", "tags": [TURNED, "0.9.0"]}).to_string();
    let registry = Scripted::start(move |_, _| answer(200, &[], tags.clone())).await;
    let image = format!("{}/acme/app", registry.host());
    let (stdout, _) = stdout_and_stderr(&["tags", &image, "--insecure"]);
    assert_eq!(stdout, "1.0.0\\u{202e}gpj\n0.9.0\n");
    let (stdout, _) = stdout_and_stderr(&["tags", &image, "--insecure", "--alphabetical"]);
    assert!(stdout.contains("1.0.0\\u{202e}gpj"), "{stdout}");
    assert!(!stdout.contains('\u{202e}'), "{stdout}");
    let (stdout, _) = stdout_and_stderr(&["tags", &image, "--insecure", "-o", "json"]);
    let listed: Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert_eq!(listed["tags"][0], TURNED);
}

#[test]
fn hc9_hostile_arguments_and_files_are_written_out_in_errors_and_findings() {
    let hostile = format!("x{CLEAR}\u{202e}\n/y");
    for arguments in [["tags", &hostile], ["build", &hostile], ["lint", &hostile]] {
        let (stdout, stderr) = stdout_and_stderr(&arguments);
        assert_eq!(stdout, "");
        assert!(stderr.contains("error: "), "{stderr}");
        assert!(!stderr.contains(['\u{1b}', '\u{202e}']), "{stderr:?}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = "a: b # {\"$imagepolicy\": \"ns:\u{202e}\"}\n";
    std::fs::write(folder.path().join("a.yaml"), text).expect("it is writable");
    let (stdout, _) = stdout_and_stderr(&["lint", folder.path().to_str().expect("it is text")]);
    assert!(stdout.contains("a.yaml:1:6: "), "{stdout}");
    assert!(!stdout.contains(['\u{1b}', '\u{202e}']), "{stdout:?}");
}

#[tokio::test]
async fn hc9_what_a_registry_says_is_written_out_in_a_status_and_in_events() {
    let body =
        json!({"errors": [{"code": "DENIED", "message": format!("no{CLEAR}\u{202e}entry")}]});
    let body = body.to_string();
    let registry = Scripted::start(move |seen, _| match seen.path.contains("/tags/") {
        true => answer(403, &[], body.clone()),
        false => answer(200, &[], ""),
    });
    let registry = registry.await;
    let mut stage = Stage::start().await;
    let image = format!("{}/acme/app", registry.host());
    let spec = json!({"image": image, "interval": "1h", "insecure": true});
    stage.create::<ImageRepository>("app", spec).await;
    let failed: ImageRepository = stage.until_says("app", "Ready=False").await;
    let status = lines(&failed).join("\n");
    assert!(status.contains("DENIED"), "{status}");
    assert!(!status.contains(['\u{1b}', '\u{202e}']), "{status:?}");
    stage.end().await;
}
