//! To come: reconcile.
