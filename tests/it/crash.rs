//! To come: crash.
