//! Sending again what may yet succeed: how often, after which waits, and never beyond the time of
//! the call.
//!
//! In: an act and its errors. Out: its success or its last error; an error that says why, not one
//! that only says that the time is over.

use std::time::{Duration, Instant};

use backoff::{ExponentialBuilder, Retryable};

use super::Error;

/// How often and how soon a failed request is sent again.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// Tries after the first.
    pub n_more: usize,
    /// The wait before the second try; the next is three times as long.
    pub first_wait: Duration,
    /// The longest `Retry-After` that is waited for inside a call; a longer one ends it.
    pub wait_max: Duration,
}

impl Default for Retries {
    /// Flux's: three tries, after one and three seconds.
    fn default() -> Self {
        Self {
            n_more: 2,
            first_wait: Duration::from_secs(1),
            wait_max: Duration::from_secs(10),
        }
    }
}

/// Tries an act until it succeeds, with the waits that `retries` or the registry asks for.
pub(super) async fn retry<T, Act, Acting>(
    retries: Retries,
    deadline: Instant,
    act: Act,
) -> Result<T, Error>
where
    Act: FnMut() -> Acting,
    Acting: Future<Output = Result<T, Error>>,
{
    let waits = ExponentialBuilder::default()
        .with_min_delay(retries.first_wait)
        .with_factor(3.0)
        .with_max_times(retries.n_more)
        .with_jitter();
    act.retry(waits)
        .when(Error::is_temporary)
        .adjust(|error, wait| {
            let wait = match error.retry_after() {
                Some(asked) if asked > retries.wait_max => None,
                Some(asked) => wait.map(|wait| wait.max(asked)),
                None => wait,
            };
            wait.filter(|wait| Instant::now() + *wait < deadline)
        })
        .await
}
