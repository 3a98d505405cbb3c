//! One set of features for the dependencies of the whole workspace; see Cargo.toml. Holds no code.
