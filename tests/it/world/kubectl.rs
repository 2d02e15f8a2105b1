//! The real kubectl, by which answers and builds are compared.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that answers are compared with.
const VERSION: &str = "v1.37.";

/// Returns kubectl 1.37, installed by tools/test.
pub fn kubectl() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/kubectl");
    let found = [installed, PathBuf::from("kubectl")]
        .into_iter()
        .find(|path| {
            let version = Command::new(path).args(["version", "--client"]).output();
            version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains(VERSION))
        });
    found.unwrap_or_else(|| panic!("there is no kubectl {VERSION}x; tools/test installs it"))
}
