//! To come: tidy.
