//! Where segments are stored: a directory or a bucket.

use super::uploads::{Bucket, Connector};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    UploadPart,
};
use std::ops::Range;
use std::sync::Arc;
use weir_plan::protocol::EngineSettings;
use weir_plan::{Error, Kind, Result};

/// Names the engine directory whose segments a directory holds.
const OWNER_FILE: &str = "owner";

/// Where the segments of a database are.
pub struct Storage {
    pub store: Arc<dyn ObjectStore>,
    /// Paths of segments are relative to this.
    pub prefix: Path,
    /// Nobody but we writes here, below `prefix`, and we delete nothing elsewhere: empty, or ends with a slash.
    pub home: String,
    /// If the store is a bucket.
    pub bucket: Option<Bucket>,
}

/// Names this server among those that may have the same bucket: a copy of it lies in another directory or on another machine. Where that cannot
/// be told, as when the machine has got another name, the server is held for another one: it leaves alone what is not surely its own.
fn home(dir: &std::path::Path) -> String {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    // The data directory, two above, stays when the extension is created anew.
    let data = dir.ancestors().nth(2).unwrap_or(&dir);
    let metadata = std::fs::metadata(data).ok();
    let born = metadata.as_ref().and_then(|m| m.created().ok()?.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |t| t.as_nanos());
    let inode = metadata.map_or(0, |m| std::os::unix::fs::MetadataExt::ino(&m));
    let identity = format!("{}\n{inode}\n{born}\n{}\n{}", dir.display(), text("/proc/sys/kernel/hostname"), text("/etc/machine-id"));
    // FNV-1a: the same in every build.
    let hash = identity.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}/")
}

/// The store of `weir.storage` and the place of our files in it. Every database has its own, named like its engine directory `dir`; if
/// no location is set it is in there.
///
/// # Errors
/// `BadOption` for a location that cannot be used.
pub fn open(dir: &std::path::Path, settings: &EngineSettings) -> Result<Storage> {
    let location = settings.storage.as_str();
    let database = dir.file_name().and_then(|n| n.to_str()).unwrap_or("weir");
    if let Some(rest) = location.strip_prefix("s3://") {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let connector = Connector::default();
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_http_connector(connector.clone());
        for (name, value) in &settings.storage_options {
            let key = name.parse().map_err(|_| Error::new(Kind::BadOption, format!("unknown storage option \"{name}\"")))?;
            builder = builder.with_config(key, value);
        }
        // The message of the builder may quote options; only the location is repeated.
        let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
        let store = builder.build().map_err(|_| Error::new(Kind::BadOption, format!("storage location \"{location}\" cannot be used")))?;
        let store = Arc::new(store);
        let bucket = Bucket::new(Arc::clone(&store), &connector, region);
        return Ok(Storage { store, prefix: Path::from(prefix).join(database), home: home(dir), bucket });
    }
    if location.contains("://") {
        return Err(Error::new(Kind::BadOption, format!("storage location \"{location}\" is neither a directory nor s3://")));
    }
    let root = if location.is_empty() { dir.join("segments") } else { std::path::Path::new(location).join(database) };
    if !location.is_empty() && !root.is_absolute() {
        return Err(Error::new(Kind::BadOption, format!("storage location \"{location}\" is not an absolute path")));
    }
    let bad = |e: &dyn std::fmt::Display| Error::new(Kind::BadOption, format!("storage directory \"{}\" cannot be used: {e}", root.display()));
    std::fs::create_dir_all(&root).map_err(|e| bad(&e))?;
    // The engine's directory may be given relative to the working directory; the store's paths are absolute.
    let root = root.canonicalize().map_err(|e| bad(&e))?;
    if !location.is_empty() {
        claim(&root, dir)?;
    }
    remove_unfinished(&root);
    let store = LocalFileSystem::new_with_prefix(&root).map_err(|e| bad(&e))?;
    Ok(Storage { store: Arc::new(DurableDirectory { store: Arc::new(store), root }), prefix: Path::default(), home: String::new(), bucket: None })
}

/// Two servers with one storage directory would delete each other's segments.
fn claim(root: &std::path::Path, dir: &std::path::Path) -> Result<()> {
    let bad = |e: std::io::Error| Error::new(Kind::BadOption, format!("storage directory \"{}\" cannot be used: {e}", root.display()));
    let dir = dir.canonicalize().map_err(bad)?.display().to_string();
    let file = root.join(OWNER_FILE);
    match std::fs::read_to_string(&file) {
        Ok(owner) if owner == dir => Ok(()),
        Ok(owner) => Err(Error::new(Kind::BadOption, format!("storage directory \"{}\" belongs to another server", root.display()))
            .with_detail(format!("It holds the segments of \"{owner}\"."))
            .with_hint(format!("If that server is gone, or was moved here, remove the file \"{}\".", file.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => std::fs::write(&file, dir).map_err(bad),
        Err(e) => Err(bad(e)),
    }
}

/// Removes what uploads that a crash cut short left: `<segment>.parquet#<number>`, two directories down.
fn remove_unfinished(root: &std::path::Path) {
    let list = |dir: &std::path::Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    for file in list(root).iter().flat_map(|relation| list(relation)).flat_map(|generation| list(&generation)) {
        if file.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.contains(".parquet#")) {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// A directory whose files are on disk when writing them returns: the manifest that names a file is committed right after, and the log
/// that it replaces is given up.
#[derive(Debug)]
struct DurableDirectory {
    store: Arc<LocalFileSystem>,
    root: std::path::PathBuf,
}

/// Flushes a file and the directories above it up to the root.
async fn sync(store: Arc<LocalFileSystem>, root: std::path::PathBuf, location: Path) -> object_store::Result<()> {
    let file = store.path_to_filesystem(&location)?;
    let flush = move || -> std::io::Result<()> {
        std::fs::File::open(&file)?.sync_all()?;
        for dir in file.ancestors().skip(1) {
            std::fs::File::open(dir)?.sync_all()?;
            if dir == root {
                break;
            }
        }
        Ok(())
    };
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic { store: "directory", source };
    match tokio::task::spawn_blocking(flush).await {
        Ok(done) => done.map_err(|e| failed(Box::new(e))),
        Err(e) => Err(failed(Box::new(e))),
    }
}

impl std::fmt::Display for DurableDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableDirectory {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        let result = self.store.put_opts(location, payload, options).await?;
        sync(Arc::clone(&self.store), self.root.clone(), location.clone()).await?;
        Ok(result)
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> object_store::Result<Box<dyn MultipartUpload>> {
        let upload = self.store.put_multipart_opts(location, options).await?;
        Ok(Box::new(DurableUpload { upload, store: Arc::clone(&self.store), root: self.root.clone(), location: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, object_store::Result<Path>>) -> BoxStream<'static, object_store::Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await?;
        sync(Arc::clone(&self.store), self.root.clone(), to.clone()).await
    }
}

#[derive(Debug)]
struct DurableUpload {
    upload: Box<dyn MultipartUpload>,
    store: Arc<LocalFileSystem>,
    root: std::path::PathBuf,
    location: Path,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let result = self.upload.complete().await?;
        sync(Arc::clone(&self.store), self.root.clone(), self.location.clone()).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.upload.abort().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(storage: &str) -> EngineSettings {
        EngineSettings {
            memory_limit_bytes: 0,
            cache_limit_bytes: 0,
            temp_limit_bytes: 0,
            threads: 0,
            max_concurrent_queries: 0,
            storage: storage.into(),
            storage_options: vec![],
        }
    }

    #[test]
    fn a_directory_serves_one_server_only() {
        let base = std::env::temp_dir().join(format!("weir_storage_{}", std::process::id()));
        let (one, two, shared) = (base.join("one/5"), base.join("two/5"), base.join("shared"));
        for dir in [&one, &two] {
            std::fs::create_dir_all(dir).expect("creates");
        }
        let storage = settings(shared.to_str().expect("a name"));
        assert!(open(&one, &storage).is_ok());
        let left = shared.join("5/10/1");
        std::fs::create_dir_all(&left).expect("creates");
        for name in ["7.parquet", "8.parquet#1"] {
            std::fs::write(left.join(name), "x").expect("writes");
        }
        assert!(open(&one, &storage).is_ok());
        assert!(left.join("7.parquet").exists() && !left.join("8.parquet#1").exists());
        assert_eq!(open(&two, &storage).map(|_| ()).expect_err("taken").kind, Kind::BadOption);
        assert!(open(&two, &settings("")).is_ok());
        assert_eq!(open(&two, &settings("somewhere")).map(|_| ()).expect_err("relative").kind, Kind::BadOption);
        assert_eq!(open(&two, &settings("ftp://x")).map(|_| ()).expect_err("unknown").kind, Kind::BadOption);
        std::fs::remove_dir_all(&base).expect("removes");
    }
}
