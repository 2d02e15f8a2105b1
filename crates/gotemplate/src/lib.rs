//! Go text/template with the hermetic sprig functions.
#![forbid(unsafe_code)]
