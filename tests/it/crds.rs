//! To come: crds.
