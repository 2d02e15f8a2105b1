//! To come: update.
