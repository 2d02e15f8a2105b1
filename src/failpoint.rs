//! Moments at which a test ends the process as `kill -9` does.
//!
//! In: a moment's name from the room that reaches it, and `TOWPATH_FAILPOINT=NAME` (or `NAME@2` for
//! the second time) from the environment. Out: nothing, or the end of the process without a goodbye.
//! Release builds never look: the function is empty there.
//!
//! On the way of a tag: `scan.after_page`, `scan.before_store`, `store.before_fsync`,
//! `store.after_fsync`, `policy.before_eval`, `policy.before_status`, `policy.after_status`,
//! `git.before_fetch`, `git.after_fetch_before_index`, `edit.after_blob`, `commit.before_write_object`,
//! `commit.after_write_object`, `push.before_send`, `push.after_reply_before_record`,
//! `update.before_status`, `source.before_artifact_rename`, `apply.after`.

/// Ends the process when the environment names this moment and it is reached for the given time.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static REACHED: AtomicU32 = AtomicU32::new(0);
    let wanted = WANTED.get_or_init(|| parse(&std::env::var("TOWPATH_FAILPOINT").ok()?));
    if let Some((moment, nth)) = wanted
        && moment == name
        && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *nth
    {
        eprintln!("Ending at {name}, as TOWPATH_FAILPOINT asks.");
        kill();
    }
}

/// Ends this process by SIGKILL: no destructor, no flush. Without unsafe code only another program can
/// send it; release builds have no such call.
#[cfg(debug_assertions)]
fn kill() -> ! {
    let id = std::process::id().to_string();
    // Whether it works shows in that we are still here or not.
    let _ = std::process::Command::new("kill")
        .args(["-9", &id])
        .status();
    std::process::abort()
}

/// Does nothing in release builds.
#[cfg(not(debug_assertions))]
pub fn hit(_: &str) {}

#[cfg(debug_assertions)]
fn parse(text: &str) -> Option<(String, u32)> {
    match text.split_once('@') {
        Some((name, nth)) => Some((name.to_owned(), nth.parse().ok()?)),
        None => Some((text.to_owned(), 1)),
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_first_unless_it_is_numbered() {
        assert_eq!(parse("apply.after"), Some(("apply.after".to_owned(), 1)));
        assert_eq!(parse("apply.after@3"), Some(("apply.after".to_owned(), 3)));
        assert_eq!(parse("apply.after@x"), None);
    }
}
