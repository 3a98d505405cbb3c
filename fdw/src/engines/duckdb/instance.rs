//! Open databases, one for each file.
//!
//! Invariants:
//! - A file is told by device and inode: two instances over one file would destroy it, and the locks of the system do not keep one process from that.
//! - A database whose options changed is opened anew once nobody uses it; until then it is an error, since the options are those of the whole.
//! - A file that nobody has used for [`IDLE`] is closed, so that other processes can open it. A database in memory lives as long as this process.

use super::feed::Scans;
use super::{ENGINE, error, raw};
use crate::client::failed;
use crate::descriptor::Options;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

/// A file that has not been used for so long is closed.
pub const IDLE: Duration = Duration::from_secs(60);

/// Databases that may be open at a time.
const MOST: usize = 64;

/// What a database was opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Opening {
    /// `:memory:` or an absolute path.
    path: String,
    read_only: bool,
    external_access: bool,
    settings: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// That of a server.
    Memory(u32),
    File {
        device: u64,
        inode: u64,
    },
}

/// An open database.
pub struct Instance {
    opening: Opening,
    database: raw::Database,
    /// Rows on their way in.
    scans: Arc<Scans>,
    /// Statements that may run at a time.
    pub places: Arc<Semaphore>,
    used: Mutex<Instant>,
}

#[derive(Default)]
pub struct Instances(Mutex<HashMap<Place, Arc<Instance>>>);

/// What every connection begins with, where it may have been changed. The deliminator of DuckDB 1.5.5 loses rows of a correlated EXISTS with two
/// inequalities beside an equality.
const SESSION: &str = "SET TimeZone = 'UTC'; SET default_collation = ''; SET integer_division = false; SET ieee_floating_point_ops = true; \
     SET disabled_optimizers = 'deliminator'";

impl Opening {
    fn of(endpoint: &Endpoint) -> Result<Opening> {
        let o = Options { engine: &ENGINE, given: &endpoint.options };
        let path = o.text("database").unwrap_or(":memory:").to_owned();
        let read_only = o.bool("read_only");
        if path != ":memory:" && !path.starts_with('/') {
            return Err(
                failed(endpoint, "HV00D", &format!("\"{path}\" is not an absolute path")).with_hint("Give the option \"database\" as an absolute path.")
            );
        }
        if path == ":memory:" && read_only {
            return Err(failed(endpoint, "HV00D", "a database in memory cannot be read only").with_hint("Set the option \"database\", or drop \"read_only\"."));
        }
        let external_access = o.bool("external_access");
        let mut settings = vec![
            ("access_mode", if read_only { "READ_ONLY" } else { "READ_WRITE" }.to_owned()),
            ("memory_limit", format!("{}MB", o.int("memory_limit_mb").unwrap_or(512))),
            ("temp_directory", o.text("temp_directory").unwrap_or_default().to_owned()),
            ("enable_external_access", external_access.to_string()),
            ("autoinstall_known_extensions", "false".into()),
            ("autoload_known_extensions", "false".into()),
            ("allow_community_extensions", "false".into()),
            ("allow_persistent_secrets", "false".into()),
            ("arrow_output_version", "1.4".into()),
            // Most rows are only passed on, which plain text is cheaper for.
            ("produce_arrow_string_view", "false".into()),
        ];
        if o.text("temp_directory").is_some() {
            settings.push(("max_temp_directory_size", format!("{}MB", o.int("temp_limit_mb").unwrap_or(4096))));
        }
        if let Some(threads) = o.int("threads").filter(|n| *n > 0) {
            settings.push(("threads", threads.to_string()));
        }
        if let Some(directory) = o.text("extension_directory") {
            settings.push(("extension_directory", directory.to_owned()));
        }
        Ok(Opening { path, read_only, external_access, settings })
    }
}

impl Instances {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Arc<Instance>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database of an endpoint, opened if it is not. Waits for the disk.
    ///
    /// # Errors
    /// A file that is missing, locked, or no database; options that the open one was not opened with.
    pub fn get(&self, endpoint: &Endpoint) -> Result<Arc<Instance>> {
        let opening = Opening::of(endpoint)?;
        let mut open = self.lock();
        let place = place(endpoint, &opening)?;
        if let Some(instance) = place.and_then(|p| open.get(&p)) {
            if instance.opening == opening {
                *instance.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                return Ok(Arc::clone(instance));
            }
            if Arc::strong_count(instance) > 1 {
                return Err(failed(endpoint, "55006", "the database is in use with other options")
                    .with_hint("Give all servers of one database file the same options, or wait until the statements that use it have ended."));
            }
        }
        if let Some(old) = place.and_then(|p| open.remove(&p)) {
            drop(old);
        }
        if open.len() >= MOST {
            open.retain(|place, i| matches!(place, Place::Memory(_)) || Arc::strong_count(i) > 1);
        }
        if open.len() >= MOST {
            return Err(failed(endpoint, "53300", "too many databases are open"));
        }
        let instance = Arc::new(Instance::open(endpoint, opening)?);
        let place = self::place(endpoint, &instance.opening)?.ok_or_else(|| failed(endpoint, "58P01", "the database file vanished"))?;
        open.insert(place, Arc::clone(&instance));
        Ok(instance)
    }

    /// Closes what has been idle for long.
    pub fn close_idle(&self) {
        let idle = |i: &Instance| i.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= IDLE;
        self.lock().retain(|place, i| matches!(place, Place::Memory(_)) || Arc::strong_count(i) > 1 || !idle(i));
    }

    /// Closes the files that nobody uses at the moment; their number.
    pub fn close_unused(&self) -> u64 {
        let mut open = self.lock();
        let before = open.len();
        open.retain(|place, i| matches!(place, Place::Memory(_)) || Arc::strong_count(i) > 1);
        (before - open.len()) as u64
    }

    /// Forgets a database that DuckDB has given up.
    pub fn forget(&self, broken: &Arc<Instance>) {
        self.lock().retain(|_, i| !Arc::ptr_eq(i, broken));
    }
}

/// Which database it is; `None` for a file that is still to be made.
fn place(endpoint: &Endpoint, opening: &Opening) -> Result<Option<Place>> {
    if opening.path == ":memory:" {
        return Ok(Some(Place::Memory(endpoint.server.server)));
    }
    match std::fs::metadata(&opening.path) {
        Ok(file) if file.is_file() => Ok(Some(Place::File { device: file.dev(), inode: file.ino() })),
        Ok(_) => Err(failed(endpoint, "58P01", &format!("\"{}\" is not a file", opening.path)).with_hint("Check the option \"database\" of the server.")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let o = Options { engine: &ENGINE, given: &endpoint.options };
            if o.bool("create") && !opening.read_only {
                return Ok(None);
            }
            Err(failed(endpoint, "58P01", &format!("there is no file \"{}\"", opening.path))
                .with_hint("Check the option \"database\" of the server, or set \"create\" to have the file made."))
        }
        Err(e) => Err(failed(endpoint, "08001", &format!("could not look at file \"{}\"", opening.path)).with_detail(e.to_string())),
    }
}

impl Instance {
    fn open(endpoint: &Endpoint, opening: Opening) -> Result<Instance> {
        let database = raw::Database::open(&opening.path, &opening.settings).map_err(|e| error::open(endpoint, &e))?;
        let o = Options { engine: &ENGINE, given: &endpoint.options };
        let places = o.int("max_connections").and_then(|n| usize::try_from(n).ok()).unwrap_or(16);
        let scans = Arc::new(Scans::default());
        if !opening.read_only {
            database.session().and_then(|session| session.register(&scans)).map_err(|e| error::open(endpoint, &e))?;
        }
        let instance = Instance { opening, database, scans, places: Arc::new(Semaphore::new(places)), used: Mutex::new(Instant::now()) };
        let lock = if instance.opening.external_access { "" } else { "; SET GLOBAL lock_configuration = true" };
        let global = SESSION.replace("SET ", "SET GLOBAL ");
        let connection = instance.database.connect().map_err(|e| error::open(endpoint, &e))?;
        connection.execute_batch(&format!("{global}{lock}")).map_err(|e| error::open(endpoint, &e.to_string()))?;
        Ok(instance)
    }

    pub fn scans(&self) -> &Arc<Scans> {
        &self.scans
    }

    pub fn is_read_only(&self) -> bool {
        self.opening.read_only
    }

    pub fn has_external_access(&self) -> bool {
        self.opening.external_access
    }

    /// A connection whose session is as the dialect expects it.
    pub fn connect(&self, endpoint: &Endpoint) -> Result<duckdb::Connection> {
        let connection = self.database.connect().map_err(|e| error::open(endpoint, &e))?;
        if self.opening.external_access {
            connection.execute_batch(SESSION).map_err(|e| error::open(endpoint, &e.to_string()))?;
        }
        Ok(connection)
    }

    pub fn session(&self, endpoint: &Endpoint) -> Result<raw::Session> {
        self.database.session().map_err(|e| error::open(endpoint, &e))
    }

    /// A session with the settings of [`Instance::connect`].
    ///
    /// # Errors
    /// As there.
    pub fn reader(&self, endpoint: &Endpoint) -> Result<raw::Session> {
        let session = self.session(endpoint)?;
        if self.opening.external_access {
            let set = || {
                let statements = session.statements(SESSION)?;
                (0..statements.count()).try_for_each(|i| statements.prepare(i)?.execute().map(|_| ()))
            };
            set().map_err(|e: raw::Message| error::open(endpoint, &e))?;
        }
        Ok(session)
    }

    /// Whether a statement of this kind may run, and what is to be done if not.
    ///
    /// # Errors
    /// 42501 or 25006.
    pub fn allows(&self, endpoint: &Endpoint, kind: raw::Kind) -> Result<()> {
        match kind {
            raw::Kind::Select => Ok(()),
            raw::Kind::Change if !self.is_read_only() => Ok(()),
            raw::Kind::Other if self.has_external_access() => Ok(()),
            raw::Kind::Change => {
                Err(Error { kind: Kind::Remote, ..failed(endpoint, "25006", "cannot execute the statement in a database opened for reading only") }
                    .with_hint("Drop the option \"read_only\" of the server."))
            }
            raw::Kind::Other => Err(failed(endpoint, "42501", "a statement that reaches beyond the tables of the database")
                .with_hint("COPY, ATTACH, SET, PRAGMA, CALL and the like need a server with the option \"external_access\", which superusers set.")),
        }
    }
}
