//! Where the engine looks for DuckDB's library: in `pg_weir/` beside itself. Unit tests find it through LD_LIBRARY_PATH.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let linked = std::env::var_os("CARGO_FEATURE_DUCKDB").is_some() && std::env::var_os("CARGO_FEATURE_DUCKDB_BUNDLED").is_none();
    if linked {
        println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/pg_weir");
    }
}
