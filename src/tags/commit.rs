//! Group commit: writes that are asked for at one time become one synced transaction.
//!
//! In: the rows of one owner, all or none of them. Out: whether they are on the disk. Whoever gets
//! the turn writes what everybody has asked for until then; the others find their rows written. It
//! knows tables and bytes, not what they mean.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redb::{Database, TableDefinition, WriteTransaction};

/// Owner → the head of what is kept for it.
pub(super) const EPOCHS: TableDefinition<&str, &[u8]> = TableDefinition::new("epochs");
/// Owner → tags, deflated.
pub(super) const LISTS: TableDefinition<&str, &[u8]> = TableDefinition::new("lists");
/// Owner, number → what one scan or look-up changed.
pub(super) const CHANGES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("changes");
/// Owner, tag → digest.
pub(super) const DIGESTS: TableDefinition<(&str, &str), &str> = TableDefinition::new("digests");

/// One write.
#[derive(Debug)]
pub(super) enum Row {
    Epoch(Vec<u8>),
    List(Vec<u8>),
    Change(u64, Vec<u8>),
    Digest(String, String),
    /// The tag's digest goes.
    NoDigest(String),
    /// Changes before this number go.
    NoChangesBefore(u64),
    /// Everything of the owner goes.
    Nothing,
}

/// What was written since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Synced transactions.
    pub n_transactions: u64,
    /// Rows that were put in.
    pub n_rows: u64,
    /// Bytes of the values of these rows.
    pub value_bytes: u64,
}

type Outcome = Result<(), Arc<redb::Error>>;

/// The rows of one owner which wait for their turn.
struct Batch {
    owner: String,
    rows: Vec<Row>,
    outcome: Arc<OnceLock<Outcome>>,
}

/// Writes to a database.
pub(super) struct Commits {
    pending: Mutex<Vec<Batch>>,
    turn: Mutex<()>,
    n_transactions: AtomicU64,
    n_rows: AtomicU64,
    value_bytes: AtomicU64,
}

impl Commits {
    pub fn new() -> Self {
        Self {
            pending: Mutex::default(),
            turn: Mutex::default(),
            n_transactions: AtomicU64::new(0),
            n_rows: AtomicU64::new(0),
            value_bytes: AtomicU64::new(0),
        }
    }

    /// Writes rows of an owner; they are on the disk when this returns. Fails when the transaction
    /// does in which they are; then none of them is written.
    pub fn write(&self, database: &Database, owner: String, rows: Vec<Row>) -> Outcome {
        let outcome = Arc::new(OnceLock::new());
        let batch = Batch {
            owner,
            rows,
            outcome: outcome.clone(),
        };
        locked(&self.pending).push(batch);
        let _turn = locked(&self.turn);
        if outcome.get().is_none() {
            self.write_pending(database);
        }
        let outcome = outcome.get().cloned();
        outcome.expect("because a turn writes all that is pending")
    }

    /// Returns what was written so far.
    pub fn written(&self) -> Written {
        Written {
            n_transactions: self.n_transactions.load(Ordering::Relaxed),
            n_rows: self.n_rows.load(Ordering::Relaxed),
            value_bytes: self.value_bytes.load(Ordering::Relaxed),
        }
    }

    /// Keeps everybody from writing.
    #[cfg(test)]
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        locked(&self.turn)
    }

    /// Returns how many wait for their turn.
    #[cfg(test)]
    pub fn n_pending(&self) -> usize {
        locked(&self.pending).len()
    }

    fn write_pending(&self, database: &Database) {
        let batches = std::mem::take(&mut *locked(&self.pending));
        let write = || {
            let transaction = database.begin_write()?;
            for batch in &batches {
                put(&transaction, &batch.owner, &batch.rows)?;
            }
            crate::failpoint::hit("store.before_fsync");
            transaction.commit()?;
            crate::failpoint::hit("store.after_fsync");
            Ok(())
        };
        let outcome: Outcome = write().map_err(|error: redb::Error| Arc::new(error));
        if outcome.is_ok() {
            self.count(&batches);
        }
        for batch in batches {
            // Nobody else sets the outcome of a batch.
            let _ = batch.outcome.set(outcome.clone());
        }
    }

    fn count(&self, batches: &[Batch]) {
        let sizes = batches.iter().flat_map(|batch| &batch.rows).map(Row::size);
        let (mut n_rows, mut value_bytes) = (0, 0);
        for size in sizes.flatten() {
            n_rows += 1;
            value_bytes += size as u64;
        }
        self.n_transactions.fetch_add(1, Ordering::Relaxed);
        self.n_rows.fetch_add(n_rows, Ordering::Relaxed);
        self.value_bytes.fetch_add(value_bytes, Ordering::Relaxed);
    }
}

impl Row {
    /// Returns the bytes of the value that is put in, if one is.
    fn size(&self) -> Option<usize> {
        match self {
            Self::Epoch(value) | Self::List(value) | Self::Change(_, value) => Some(value.len()),
            Self::Digest(_, digest) => Some(digest.len()),
            Self::NoDigest(_) | Self::NoChangesBefore(_) | Self::Nothing => None,
        }
    }
}

/// Writes rows of one owner within a transaction.
pub(super) fn put(
    transaction: &WriteTransaction,
    owner: &str,
    rows: &[Row],
) -> Result<(), redb::Error> {
    for row in rows {
        match row {
            Row::Epoch(value) => {
                let mut epochs = transaction.open_table(EPOCHS)?;
                epochs.insert(owner, value.as_slice())?;
            }
            Row::List(value) => {
                let mut lists = transaction.open_table(LISTS)?;
                lists.insert(owner, value.as_slice())?;
            }
            Row::Change(number, value) => {
                let mut changes = transaction.open_table(CHANGES)?;
                changes.insert((owner, *number), value.as_slice())?;
            }
            Row::Digest(tag, digest) => {
                let mut digests = transaction.open_table(DIGESTS)?;
                digests.insert((owner, tag.as_str()), digest.as_str())?;
            }
            Row::NoDigest(tag) => {
                transaction
                    .open_table(DIGESTS)?
                    .remove((owner, tag.as_str()))?;
            }
            Row::NoChangesBefore(number) => {
                let mut changes = transaction.open_table(CHANGES)?;
                changes.retain_in((owner, 0)..(owner, *number), |_, _| false)?;
            }
            Row::Nothing => remove(transaction, owner)?,
        }
    }
    Ok(())
}

fn remove(transaction: &WriteTransaction, owner: &str) -> Result<(), redb::Error> {
    transaction.open_table(EPOCHS)?.remove(owner)?;
    transaction.open_table(LISTS)?.remove(owner)?;
    let mut changes = transaction.open_table(CHANGES)?;
    changes.retain_in((owner, 0)..=(owner, u64::MAX), |_, _| false)?;
    let after = after(owner);
    let mut digests = transaction.open_table(DIGESTS)?;
    digests.retain_in((owner, "")..(after.as_str(), ""), |_, _| false)?;
    Ok(())
}

/// Returns the least text after `owner`, so that a range of one owner ends before the next.
pub(super) fn after(owner: &str) -> String {
    format!("{owner}\0")
}

/// Locks; what is behind these locks is whole even when a holder panicked.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
