//! To come: tags.
