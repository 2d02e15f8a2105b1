//! To come: kubectl.
