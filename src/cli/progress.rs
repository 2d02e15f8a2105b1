//! A line of progress on stderr for whatever takes more than a second.

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

/// Below this nobody wonders what is going on.
const QUIET: Duration = Duration::from_secs(1);

/// Awaits `work`; when it takes longer than a second, says `what` on stderr. On a terminal the line
/// is taken away again.
pub(super) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        result = &mut work => return result,
        () = tokio::time::sleep(QUIET) => {}
    }
    let terminal = std::io::stderr().is_terminal();
    if terminal {
        eprint!("{what} …");
    } else {
        eprintln!("{what} …");
    }
    let result = work.await;
    if terminal {
        eprint!("\r\u{1b}[K");
    }
    result
}
