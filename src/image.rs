//! To come: image.
