//! The client: that of MySQL, or that of Flight SQL for the queries of a server with a `flight_port`.

use crate::client::{Client, Receiver, Wanted};
use crate::engines::flightsql::client::FlightSqlClient;
use crate::engines::mysql::client::{MySqlClient, options};
use async_trait::async_trait;
use weir_plan::Result;
use weir_plan::protocol::{CatalogTable, Endpoint};

/// What the dialect relies on; whatever the global modes are.
pub const SESSION: &[&str] = &["SET sql_mode = 'ONLY_FULL_GROUP_BY'"];
/// What is nice to have: who reads slowly (a cursor) is not cut off.
pub const PATIENCE: &str = "SET query_timeout = 259200";

#[derive(Default)]
pub struct StarRocksClient {
    mysql: MySqlClient,
    flight: FlightSqlClient,
}

#[async_trait]
impl Client for StarRocksClient {
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver> {
        match options(endpoint).int("flight_port") {
            Some(_) => self.flight.query(endpoint, sql, wanted).await,
            None => self.mysql.query(endpoint, sql, wanted).await,
        }
    }

    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        self.mysql.execute(endpoint, sql).await
    }

    async fn forget(&self, server: Option<u32>) -> u64 {
        self.mysql.forget(server).await + self.flight.forget(server).await
    }

    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
        self.mysql.catalog(endpoint, schema).await
    }
}
