//! To come: pattern.
