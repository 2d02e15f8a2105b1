//! To come: template.
