//! To come: river.
