//! To come: docs.
