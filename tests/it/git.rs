//! To come: git.
