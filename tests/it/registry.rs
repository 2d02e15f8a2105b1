//! To come: registry.
