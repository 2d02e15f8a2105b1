//! To come: apply.
