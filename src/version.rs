//! To come: version.
