//! The settings `weir.*`.
//!
//! Invariant: read on the main thread only, as all of Postgres is.

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::pg_sys;
use std::ffi::{CStr, CString};
use weir_plan::ir::{Embedded, Fidelity as PlanFidelity};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
#[allow(non_camel_case_types)]
pub enum Route {
    /// Queries whose cost in Postgres is at least `weir.min_cost`.
    auto,
    /// Whatever can be answered exactly.
    force,
    off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
#[allow(non_camel_case_types)]
pub enum Fidelity {
    exact,
    relaxed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
#[allow(non_camel_case_types)]
pub enum Engine {
    datafusion,
    duckdb,
}

static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
static ROUTE: GucSetting<Route> = GucSetting::<Route>::new(Route::auto);
static FIDELITY: GucSetting<Fidelity> = GucSetting::<Fidelity>::new(Fidelity::exact);
static ENGINE: GucSetting<Engine> = GucSetting::<Engine>::new(Engine::datafusion);
static MIN_COST: GucSetting<f64> = GucSetting::<f64>::new(2000.0);
static FRESHNESS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"latest"));
static FRESHNESS_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5000);
static MEMORY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(2048);
static CACHE_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(-1);
static TEMP_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(16384);
static THREADS: GucSetting<i32> = GucSetting::<i32>::new(0);
static MAX_CONCURRENT_QUERIES: GucSetting<i32> = GucSetting::<i32>::new(0);
static STORAGE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static STORAGE_OPTIONS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static COPY_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(2);
static APPLY_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(200);

pub fn enabled() -> bool {
    ENABLED.get()
}

pub fn route() -> Route {
    ROUTE.get()
}

pub fn engine() -> Embedded {
    match ENGINE.get() {
        Engine::datafusion => Embedded::DataFusion,
        Engine::duckdb => Embedded::DuckDb,
    }
}

pub fn engine_name() -> &'static str {
    engine().name()
}

pub fn fidelity() -> PlanFidelity {
    match FIDELITY.get() {
        Fidelity::exact => PlanFidelity::Exact,
        Fidelity::relaxed => PlanFidelity::Relaxed,
    }
}

/// Postgres cost units.
pub fn min_cost() -> f64 {
    MIN_COST.get()
}

/// What `weir.freshness` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    Latest,
    Session,
    MaxLag { millis: u64 },
    Any,
}

pub fn freshness() -> Freshness {
    FRESHNESS.get().and_then(|s| parse_freshness(&s)).unwrap_or(Freshness::Latest)
}

pub fn freshness_timeout_ms() -> u64 {
    u64::try_from(FRESHNESS_TIMEOUT.get()).unwrap_or(0)
}

pub fn memory_limit_bytes() -> u64 {
    megabytes(MEMORY_LIMIT.get())
}

/// The part of the memory limit that decoded columns may take; half of it by default.
pub fn cache_limit_bytes() -> u64 {
    match CACHE_LIMIT.get() {
        -1 => memory_limit_bytes() / 2,
        mb => megabytes(mb).min(memory_limit_bytes()),
    }
}

pub fn temp_limit_bytes() -> u64 {
    megabytes(TEMP_LIMIT.get())
}

/// 0: as many as the machine has cores.
pub fn threads() -> u32 {
    u32::try_from(THREADS.get()).unwrap_or(0)
}

/// 0: derived from the number of threads.
pub fn max_concurrent_queries() -> u32 {
    u32::try_from(MAX_CONCURRENT_QUERIES.get()).unwrap_or(0)
}

pub fn storage() -> String {
    STORAGE.get().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `key=value` pairs separated by white space, as object_store names them (`aws_endpoint=… aws_access_key_id=…`).
pub fn storage_options() -> Vec<(String, String)> {
    let text = STORAGE_OPTIONS.get().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

pub fn copy_workers() -> usize {
    usize::try_from(COPY_WORKERS.get()).unwrap_or(1)
}

/// How long changes may wait before the worker decodes them without being asked.
pub fn apply_interval_ms() -> u64 {
    u64::try_from(APPLY_INTERVAL.get()).unwrap_or(200)
}

fn megabytes(mb: i32) -> u64 {
    u64::try_from(mb).unwrap_or(0) << 20
}

fn parse_freshness(text: &CStr) -> Option<Freshness> {
    match text.to_str().ok()? {
        "latest" => Some(Freshness::Latest),
        "session" => Some(Freshness::Session),
        "any" => Some(Freshness::Any),
        _ => {
            let mut millis = 0;
            let unit = pg_sys::GUC_UNIT_MS.cast_signed();
            // SAFETY: the text is a C string; parse_int writes only to `millis`.
            let ok = unsafe { pg_sys::parse_int(text.as_ptr(), &raw mut millis, unit, std::ptr::null_mut()) };
            (ok && millis >= 0).then(|| Freshness::MaxLag { millis: u64::try_from(millis).unwrap_or(0) })
        }
    }
}

unsafe extern "C-unwind" fn check_freshness(value: *mut *mut std::ffi::c_char, _: *mut *mut std::ffi::c_void, _: pg_sys::GucSource::Type) -> bool {
    // SAFETY: Postgres passes a C string, or null for no value, and shows the hint if the value is refused.
    unsafe {
        let good = (*value).is_null() || parse_freshness(CStr::from_ptr(*value)).is_some();
        if !good {
            pg_sys::GUC_check_errhint_string = pg_sys::pstrdup(c"Use latest, session, any, or the greatest age, such as 500ms, 5s or 2min.".as_ptr());
        }
        good
    }
}

/// Where segments can be: see `open` of the engine's `mirror/storage.rs`.
fn is_storage(location: &str) -> bool {
    let in_bucket = |rest: &str| !rest.is_empty() && !rest.starts_with('/');
    location.is_empty() || location.starts_with('/') || location.strip_prefix("s3://").is_some_and(in_bucket)
}

unsafe extern "C-unwind" fn check_storage(value: *mut *mut std::ffi::c_char, _: *mut *mut std::ffi::c_void, _: pg_sys::GucSource::Type) -> bool {
    // SAFETY: Postgres passes a C string, or null for no value, and shows the hint if the value is refused.
    unsafe {
        let good = (*value).is_null() || is_storage(&CStr::from_ptr(*value).to_string_lossy());
        if !good {
            pg_sys::GUC_check_errhint_string =
                pg_sys::pstrdup(c"Use an absolute path, s3://bucket/prefix, or nothing for a place below the data directory.".as_ptr());
        }
        good
    }
}

/// Defines all settings; called once from `_PG_init`.
pub fn define() {
    let none = GucFlags::default();
    GucRegistry::define_bool_guc(
        c"weir.enabled",
        c"Lets pg_weir take over queries.",
        c"If off, every query runs in Postgres.",
        &ENABLED,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_enum_guc(
        c"weir.route",
        c"Chooses which queries are routed to an engine.",
        c"auto: those whose cost is at least weir.min_cost; force: all that can be answered exactly; off: none.",
        &ROUTE,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_float_guc(
        c"weir.min_cost",
        c"Cost in Postgres from which on a query is routed.",
        c"In units of the planner's total cost; used when weir.route is auto.",
        &MIN_COST,
        0.0,
        f64::MAX,
        GucContext::Userset,
        none,
    );
    // SAFETY: the check hook has the signature Postgres expects and lives as long as the library.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"weir.freshness",
            c"How fresh the data of routed queries must be.",
            c"latest: every transaction committed before the query; session: this session's own commits; an interval such as 5s: at most that old; any: whatever is applied.",
            &FRESHNESS,
            GucContext::Userset,
            none,
            Some(check_freshness),
            None,
            None,
        );
    }
    GucRegistry::define_int_guc(
        c"weir.freshness_timeout",
        c"How long a query waits for fresh data before it runs in Postgres instead.",
        c"",
        &FRESHNESS_TIMEOUT,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_enum_guc(
        c"weir.fidelity",
        c"Whether only exact answers are allowed.",
        c"relaxed also ships what is marked close enough, such as sums of floats in another order.",
        &FIDELITY,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_enum_guc(
        c"weir.engine",
        c"The embedded engine that runs queries over mirrors.",
        c"What it cannot answer exactly runs in Postgres.",
        &ENGINE,
        GucContext::Userset,
        none,
    );
    define_engine_settings();
}

/// Settings of the engine process, the same for all sessions.
fn define_engine_settings() {
    let int = |name, short, long, setting, min, flags| {
        GucRegistry::define_int_guc(name, short, long, setting, min, i32::MAX, GucContext::Sighup, flags);
    };
    let none = GucFlags::default();
    int(c"weir.memory_limit", c"Memory of the engine for all queries and its cache together.", c"", &MEMORY_LIMIT, 64, GucFlags::UNIT_MB);
    int(c"weir.cache_limit", c"The part of weir.memory_limit for decoded columns.", c"-1: half of it.", &CACHE_LIMIT, -1, GucFlags::UNIT_MB);
    int(c"weir.temp_limit", c"Disk space of the engine for queries that exceed their memory.", c"", &TEMP_LIMIT, 0, GucFlags::UNIT_MB);
    int(c"weir.threads", c"Threads of the engine.", c"0: one for each core.", &THREADS, 0, none);
    int(
        c"weir.max_concurrent_queries",
        c"Queries that the engine runs at a time; others wait in order.",
        c"0: four for each thread.",
        &MAX_CONCURRENT_QUERIES,
        0,
        none,
    );
    int(c"weir.copy_workers", c"Initial copies that run at a time.", c"", &COPY_WORKERS, 1, none);
    int(c"weir.apply_interval", c"How long changes may wait before they are applied without a query asking.", c"", &APPLY_INTERVAL, 1, GucFlags::UNIT_MS);
    // SAFETY: the check hook has the signature Postgres expects and lives as long as the library.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"weir.storage",
            c"Where mirrors keep their segments.",
            c"Empty: below the data directory; an absolute path; or s3://bucket/prefix.",
            &STORAGE,
            GucContext::Sighup,
            none,
            Some(check_storage),
            None,
            None,
        );
    }
    GucRegistry::define_string_guc(
        c"weir.storage_options",
        c"Endpoint and credentials of weir.storage.",
        c"key=value pairs separated by white space.",
        &STORAGE_OPTIONS,
        // The server writes a setting that a reload changes into its log, and this one holds a secret.
        // SAFETY: a plain read at library load.
        if unsafe { pg_sys::process_shared_preload_libraries_in_progress } { GucContext::Postmaster } else { GucContext::Sighup },
        GucFlags::SUPERUSER_ONLY | GucFlags::NO_SHOW_ALL,
    );
}
