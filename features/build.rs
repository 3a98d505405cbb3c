//! Makes the build-dependencies of this crate count, so that proc macros too are built with one set of features.
fn main() {}
