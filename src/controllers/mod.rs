//! To come: controllers.
