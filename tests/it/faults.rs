//! To come: faults.
