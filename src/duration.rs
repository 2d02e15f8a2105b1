//! To come: duration.
