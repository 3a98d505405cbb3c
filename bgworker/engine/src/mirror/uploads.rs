//! Uploads in parts that a crash cut short: a bucket keeps their parts, which no list of objects shows, until somebody aborts them.
//!
//! Invariants:
//! - Only uploads of segments below our own home are aborted, and only of ids from before this engine.
//! - What the store does not list, or in an unknown form, stays.

use super::Mirrors;
use super::segment::Io;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use weir_plan::{Error, Result};

/// Lists of uploads that are asked for at most; each has up to 1000.
const MAX_LISTS: usize = 100;

/// Of the address that only shows where the bucket is; it is not used.
const EXPIRES_IN: Duration = Duration::from_secs(60);

/// Remembers the client that the store gets: no other has its options.
#[derive(Debug, Clone, Default)]
pub struct Connector {
    last: Arc<Mutex<Option<HttpClient>>>,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        *self.last.lock() = Some(client.clone());
        Ok(client)
    }
}

/// A bucket whose unfinished uploads can be listed.
pub struct Bucket {
    store: Arc<AmazonS3>,
    client: HttpClient,
    region: String,
}

impl Bucket {
    /// `connector`: the one that the store was built with.
    pub fn new(store: Arc<AmazonS3>, connector: &Connector, region: String) -> Option<Bucket> {
        let client = connector.last.lock().clone()?;
        Some(Bucket { store, client, region })
    }

    /// Up to 1000 unfinished uploads below a place, as (key, id).
    async fn list(&self, below: &Path) -> Result<Vec<(String, String)>> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let method = request.method().clone();
        // The address of an object is that of the bucket, and its name.
        let mut url = self.store.signed_url(method, &Path::from("x"), EXPIRES_IN).await.map_err(failed)?;
        let path = url.path().strip_suffix('x').unwrap_or("/").to_owned();
        url.set_path(&path);
        url.query_pairs_mut().clear().append_pair("prefix", &format!("{below}/")).append_pair("uploads", "");
        *request.uri_mut() = url.as_str().parse().map_err(|_| Error::internal("segment storage: a bucket without an address"))?;
        let credential = self.store.credentials().get_credential().await.map_err(failed)?;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        let response = self.client.execute(request).await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            return Err(Error::internal(format!("segment storage: status {status}")));
        }
        let body = response.into_body().bytes().await.map_err(failed)?;
        Ok(uploads(&String::from_utf8_lossy(&body)))
    }
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::internal(format!("segment storage: {e}"))
}

/// The uploads of a ListMultipartUploadsResult. Keys with entities are none of ours.
fn uploads(xml: &str) -> Vec<(String, String)> {
    fn text<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
        let rest = xml.split_once(&format!("<{tag}>"))?.1;
        let text = rest.split_once(&format!("</{tag}>"))?.0;
        (!text.contains(['&', '<'])).then_some(text)
    }
    let found = xml.split("<Upload>").skip(1).filter_map(|upload| {
        let upload = upload.split_once("</Upload>")?.0;
        Some((text(upload, "Key")?.to_owned(), text(upload, "UploadId")?.to_owned()))
    });
    found.collect()
}

impl Io {
    /// Whether the place is that of a segment that an earlier engine began to write.
    pub fn is_of_earlier_engine(&self, location: &Path) -> bool {
        let name = location.filename().and_then(|n| n.strip_suffix(".parquet"));
        name.and_then(|n| n.parse::<i64>().ok()).is_some_and(|id| id < self.first_id)
    }
}

impl Mirrors {
    /// Aborts the uploads that earlier engines have left unfinished; gives their number.
    ///
    /// # Errors
    /// The store cannot list or abort them.
    pub async fn abort_uploads(&self) -> Result<usize> {
        let Some(bucket) = &self.io.bucket else { return Ok(0) };
        let home = self.io.location(&self.io.home);
        let mut aborted = 0;
        for _ in 0..MAX_LISTS {
            let mut some = false;
            for (key, id) in bucket.list(&home).await? {
                let Ok(location) = Path::parse(&key) else { continue };
                if location.prefix_matches(&home) && self.io.is_of_earlier_engine(&location) {
                    bucket.store.abort_multipart(&location, &id).await.map_err(failed)?;
                    aborted += 1;
                    some = true;
                }
            }
            if !some {
                break;
            }
        }
        Ok(aborted)
    }
}

#[cfg(test)]
mod tests {
    use super::uploads;

    #[test]
    fn uploads_are_found_in_the_list() {
        let xml = "<?xml version=\"1.0\"?>\n<ListMultipartUploadsResult><Bucket>b</Bucket><KeyMarker/><IsTruncated>false</IsTruncated>\
            <Upload><Key>m/5/0a/7/1/12.parquet</Key><UploadId>abc-1</UploadId><Initiator><ID>i</ID></Initiator></Upload>\
            <Upload>\n <Key>a&amp;b</Key><UploadId>2</UploadId></Upload><Upload><UploadId>3</UploadId></Upload><Upload><Key>cut</Key><UploadId>4";
        assert_eq!(uploads(xml), vec![("m/5/0a/7/1/12.parquet".to_owned(), "abc-1".to_owned())]);
        assert!(uploads("").is_empty());
    }
}
