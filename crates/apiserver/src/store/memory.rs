//! The backend that keeps nothing: objects live as long as the process.

use std::sync::Arc;

use super::Event;
use super::backend::{Backend, BackendError, Loaded};

/// Keeps nothing.
#[derive(Debug, Default)]
pub struct MemoryBackend;

impl Backend for MemoryBackend {
    fn load(&mut self) -> Result<Loaded, BackendError> {
        Ok(Loaded::default())
    }

    fn append(&mut self, _events: &[Arc<Event>], _floor: u64) -> Result<(), BackendError> {
        Ok(())
    }
}
