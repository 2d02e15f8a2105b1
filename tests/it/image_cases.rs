//! To come: image_cases.
