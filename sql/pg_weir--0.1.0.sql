-- pg_weir 0.1.0. Installed by CREATE EXTENSION; never changed after a release.
\echo Use "CREATE EXTENSION pg_weir" to load this file. \quit

-- A schema of this name that somebody else has made, who may do in it what he likes, is not used: functions of his would stand beside, or in place
-- of, those that are called here and by those who use the extension.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace n
                WHERE n.nspname OPERATOR(pg_catalog.=) 'weir'
                  AND (NOT pg_catalog.pg_has_role(n.nspowner, 'MEMBER')
                       OR (SELECT NOT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) n.nspowner)
                       OR EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) a
                                   WHERE a.privilege_type OPERATOR(pg_catalog.=) 'CREATE' AND a.grantee OPERATOR(pg_catalog.<>) n.nspowner)
                       OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace OPERATOR(pg_catalog.=) n.oid)
                       OR EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE o.oprnamespace OPERATOR(pg_catalog.=) n.oid)
                       OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid)
                       OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace OPERATOR(pg_catalog.=) n.oid))) THEN
        RAISE EXCEPTION 'schema "weir" exists and is not empty, or belongs to a role that is no superuser'
            USING ERRCODE = 'duplicate_schema', HINT = 'Drop or rename it, then create the extension again.';
    END IF;
END
$$;
SET LOCAL search_path = pg_catalog, pg_temp;

-- Numbers of the copies of tables: an older number is void. Never goes back, not even by ROLLBACK.
CREATE SEQUENCE weir.mirror_generation;

-- One row for each mirrored table. The library reads it by attribute number: new columns go to the end.
CREATE TABLE weir.mirror_table (
    relid           oid PRIMARY KEY,
    generation      int8 NOT NULL,
    state           text NOT NULL CHECK (state IN ('copying', 'active', 'resync', 'error')),
    -- why it is not active
    reason          text,
    -- the columns that the mirror holds
    columns         jsonb NOT NULL,
    -- attribute numbers of the columns by which a row is found; NULL: by the whole row
    key             int2[],
    -- attribute numbers of columns with a value that the mirror cannot hold
    poisoned        int2[] NOT NULL DEFAULT '{}',
    -- every transaction committed up to here is in the segments
    applied_lsn     pg_lsn NOT NULL DEFAULT '0/0',
    live_rows       int8,
    size_bytes      int8,
    expected_rows   int8,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    copy_started_at timestamptz,
    copied_at       timestamptz,
    -- attributes of the table when it had these columns, dropped ones included; columns with greater numbers are new
    attributes      int2,
    -- the form of what is kept
    form            int2
);

-- The immutable files of a mirror, each with the rows of it that are deleted.
CREATE TABLE weir.mirror_segment (
    relid      oid NOT NULL,
    generation int8 NOT NULL,
    segment_id int8 NOT NULL,
    path       text NOT NULL,
    rows       int8 NOT NULL,
    size_bytes int8 NOT NULL,
    deletes    bytea NOT NULL DEFAULT '',
    PRIMARY KEY (relid, generation, segment_id)
);

REVOKE ALL ON weir.mirror_table, weir.mirror_segment FROM PUBLIC;

CREATE FUNCTION weir._start_worker() RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_start_worker';

CREATE FUNCTION weir.mirror(relation regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_mirror';
COMMENT ON FUNCTION weir.mirror(regclass) IS 'keeps a columnar mirror of a table; returns at once, the copy runs in the background';

CREATE FUNCTION weir.unmirror(relation regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_unmirror';
COMMENT ON FUNCTION weir.unmirror(regclass) IS 'ends the mirror of a table';

CREATE FUNCTION weir.sync(relation regclass DEFAULT NULL, timeout interval DEFAULT '60s') RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'weir_sync';
COMMENT ON FUNCTION weir.sync(regclass, interval) IS 'waits until a mirror (or all of them) is complete and has everything that is committed now';

CREATE FUNCTION weir._verify(relation regclass) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_verify';

CREATE FUNCTION weir.verify(
    relation regclass,
    OUT matches bool,
    OUT heap_rows int8,
    OUT mirror_rows int8,
    OUT heap_checksum text,
    OUT mirror_checksum text,
    OUT unchecked_columns text[]
) LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found jsonb := weir._verify(relation);
BEGIN
    matches := found ->> 'matches';
    heap_rows := found ->> 'heap_rows';
    mirror_rows := found ->> 'mirror_rows';
    heap_checksum := found ->> 'heap_checksum';
    mirror_checksum := found ->> 'mirror_checksum';
    unchecked_columns := ARRAY(SELECT jsonb_array_elements_text(found -> 'unchecked_columns'));
END
$$;
COMMENT ON FUNCTION weir.verify(regclass) IS 'compares a table with its mirror, row by row through a checksum, under one snapshot';

CREATE FUNCTION weir._status() RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_status';

CREATE FUNCTION weir._position() RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_position';

CREATE FUNCTION weir._last_route() RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_last_route';

CREATE FUNCTION weir.last_route(OUT routed bool, OUT engine text, OUT reason text, OUT fallback bool, OUT message text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT (r ->> 'routed')::bool, nullif(r ->> 'engine', ''), nullif(r ->> 'reason', ''),
                 (r ->> 'fallback')::bool, nullif(r ->> 'message', '') FROM weir._last_route() AS r $$;
COMMENT ON FUNCTION weir.last_route() IS 'whether the last query of this session was routed, where to, or why not; fallback: routed, but Postgres ran it after all, for the reason in message';

CREATE FUNCTION weir._obstacle() RETURNS text
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_obstacle';

-- Mirrors that the current user may see: those of tables that he may read.
CREATE VIEW weir.mirrors WITH (security_barrier) AS
SELECT m.relid::regclass AS relation,
       CASE WHEN m.state = 'copying' AND m.copy_started_at IS NULL THEN 'waiting' ELSE m.state END AS state,
       coalesce(m.reason, o.reason) AS reason,
       m.last_error,
       coalesce(e.live_rows, m.live_rows) AS rows,
       coalesce(e.size_bytes, m.size_bytes) AS bytes,
       coalesce(e.delta_rows, 0) AS delta_rows,
       coalesce(e.segments, (SELECT count(*) FROM weir.mirror_segment s WHERE s.relid = m.relid AND s.generation = m.generation)) AS segments,
       m.applied_lsn AS durable_lsn,
       CASE WHEN m.state = 'active' THEN p.lsn END AS applied_lsn,
       CASE WHEN m.state = 'active' AND NOT pg_is_in_recovery()
            THEN greatest(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), p.lsn), 0)::int8 END AS lag_bytes,
       CASE WHEN m.state = 'active' THEN greatest(extract(epoch FROM clock_timestamp()) - p.time_us / 1e6, 0)::float8 END AS lag_seconds,
       (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = m.relid AND a.attnum > 0 AND NOT a.attisdropped
           AND (a.attnum = ANY (m.poisoned) OR NOT EXISTS (
               SELECT FROM jsonb_array_elements(m.columns) c WHERE (c ->> 'attnum')::int2 = a.attnum))) AS unsupported_columns,
       m.created_at,
       m.copied_at
  FROM weir.mirror_table m
  LEFT JOIN (SELECT weir._obstacle() AS reason) o ON true
  LEFT JOIN (SELECT (j ->> 'lsn')::pg_lsn AS lsn, (j ->> 'time_us')::numeric AS time_us FROM weir._position() j WHERE j IS NOT NULL) p ON true
  LEFT JOIN (SELECT x.* FROM weir._status() j, jsonb_to_recordset(j -> 'mirrors')
               AS x(relid oid, generation int8, live_rows int8, size_bytes int8, delta_rows int8, segments int8, copying bool)
              WHERE j IS NOT NULL) e ON e.relid = m.relid AND e.generation = m.generation AND NOT e.copying
 WHERE has_table_privilege(m.relid, 'SELECT');

CREATE VIEW weir.progress WITH (security_barrier) AS
SELECT m.relid::regclass AS relation,
       CASE WHEN m.state = 'active' THEN 'done'
            WHEN m.state <> 'copying' THEN m.state
            WHEN m.copy_started_at IS NULL THEN 'waiting'
            WHEN coalesce(e.rows_copied, 0) = 0 THEN 'starting'
            ELSE 'copying' END AS phase,
       CASE WHEN m.state = 'active' THEN coalesce(e.live_rows, m.live_rows) ELSE coalesce(e.rows_copied, 0) END AS rows_copied,
       -- An estimate, until the copy knows better.
       CASE WHEN m.state = 'active' THEN coalesce(e.live_rows, m.live_rows) ELSE m.expected_rows END AS rows_expected,
       CASE WHEN m.state = 'copying' AND e.rows_copied > 0
            THEN round(e.rows_copied / greatest(extract(epoch FROM clock_timestamp() - m.copy_started_at), 0.001)) END::int8 AS rows_per_second,
       m.copy_started_at AS started_at,
       m.copied_at AS finished_at,
       nullif(concat_ws('; ', m.reason, nullif(m.last_error, m.reason), o.reason, CASE WHEN m.state <> 'active' THEN b.reason END), '') AS reason
  FROM weir.mirror_table m
  LEFT JOIN (SELECT x.* FROM weir._status() j, jsonb_to_recordset(j -> 'mirrors')
               AS x(relid oid, generation int8, rows_copied int8, live_rows int8)
              WHERE j IS NOT NULL) e ON e.relid = m.relid AND e.generation = m.generation
  LEFT JOIN (SELECT weir._obstacle() AS reason) o ON true
  -- A slot, and the snapshot of a copy, wait for the transactions that are open; shown to those who may see the workers.
  LEFT JOIN (SELECT 'waits for the end of transactions of other sessions: process ' || string_agg(DISTINCT blocking::text, ', ') AS reason
               FROM pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) AS blocking
              WHERE a.datname = current_database() AND a.backend_type LIKE 'pg\_weir%'
             HAVING count(*) > 0) b ON true
 WHERE has_table_privilege(m.relid, 'SELECT');

CREATE VIEW weir.memory AS
SELECT (j ->> 'memory_used_bytes')::int8 AS used_bytes,
       (j ->> 'memory_limit_bytes')::int8 AS limit_bytes,
       (j ->> 'cache_used_bytes')::int8 AS cache_bytes,
       (j ->> 'running_queries')::int4 AS running_queries,
       (j ->> 'waiting_queries')::int4 AS waiting_queries
  FROM weir._status() AS j
 WHERE j IS NOT NULL;

-- DDL on mirrored tables, also in sessions with session_replication_role = replica.
CREATE FUNCTION weir._ddl_command_end() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'weir_ddl_command_end';
CREATE FUNCTION weir._table_rewrite() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'weir_table_rewrite';
CREATE FUNCTION weir._sql_drop() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'weir_sql_drop';

CREATE EVENT TRIGGER pg_weir_ddl_command_end ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER TYPE', 'ALTER DOMAIN')
    EXECUTE FUNCTION weir._ddl_command_end();
CREATE EVENT TRIGGER pg_weir_table_rewrite ON table_rewrite EXECUTE FUNCTION weir._table_rewrite();
CREATE EVENT TRIGGER pg_weir_sql_drop ON sql_drop EXECUTE FUNCTION weir._sql_drop();
ALTER EVENT TRIGGER pg_weir_ddl_command_end ENABLE ALWAYS;
ALTER EVENT TRIGGER pg_weir_table_rewrite ENABLE ALWAYS;
ALTER EVENT TRIGGER pg_weir_sql_drop ENABLE ALWAYS;

-- Connections that were opened with other options are closed.
CREATE FUNCTION weir._servers_changed() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'weir_servers_changed';
CREATE EVENT TRIGGER pg_weir_servers_changed ON ddl_command_end
    WHEN TAG IN ('ALTER SERVER', 'DROP SERVER', 'ALTER USER MAPPING', 'DROP USER MAPPING', 'DROP FOREIGN DATA WRAPPER', 'DROP OWNED')
    EXECUTE FUNCTION weir._servers_changed();
ALTER EVENT TRIGGER pg_weir_servers_changed ENABLE ALWAYS;

-- Remote engines. A validator is not told its wrapper: the engine is in its name.
CREATE FUNCTION weir.fdw_handler() RETURNS fdw_handler
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_handler';
CREATE FUNCTION weir.mysql_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_validator';
CREATE FOREIGN DATA WRAPPER weir_mysql HANDLER weir.fdw_handler VALIDATOR weir.mysql_validator;

CREATE FUNCTION weir.postgres_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_validator';
CREATE FOREIGN DATA WRAPPER weir_postgres HANDLER weir.fdw_handler VALIDATOR weir.postgres_validator;

CREATE FUNCTION weir.clickhouse_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_validator';
CREATE FOREIGN DATA WRAPPER weir_clickhouse HANDLER weir.fdw_handler VALIDATOR weir.clickhouse_validator;

CREATE FUNCTION weir.flightsql_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_validator';
CREATE FOREIGN DATA WRAPPER weir_flightsql HANDLER weir.fdw_handler VALIDATOR weir.flightsql_validator;

CREATE FUNCTION weir.adbc_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_validator';
CREATE FOREIGN DATA WRAPPER weir_adbc HANDLER weir.fdw_handler VALIDATOR weir.adbc_validator;

CREATE FUNCTION weir.duckdb_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_validator';
CREATE FOREIGN DATA WRAPPER weir_duckdb HANDLER weir.fdw_handler VALIDATOR weir.duckdb_validator;

CREATE FUNCTION weir.starrocks_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_validator';
CREATE FOREIGN DATA WRAPPER weir_starrocks HANDLER weir.fdw_handler VALIDATOR weir.starrocks_validator;

CREATE FUNCTION weir.trino_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'weir_fdw_validator';
CREATE FOREIGN DATA WRAPPER weir_trino HANDLER weir.fdw_handler VALIDATOR weir.trino_validator;

CREATE FUNCTION weir.query(server name, sql text) RETURNS SETOF jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_query';
COMMENT ON FUNCTION weir.query(name, text) IS 'runs a query on a remote server as it is; each row as jsonb';
CREATE FUNCTION weir.execute(server name, sql text) RETURNS int8
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'weir_execute';
COMMENT ON FUNCTION weir.execute(name, text) IS 'runs a statement on a remote server as it is; the number of rows it changed';
CREATE FUNCTION weir.refresh(server name DEFAULT NULL) RETURNS int8
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'weir_refresh';
COMMENT ON FUNCTION weir.refresh(name) IS 'closes idle connections to a remote server, or to all; their number';
REVOKE ALL ON FUNCTION weir.query(name, text), weir.execute(name, text), weir.refresh(name) FROM PUBLIC;

CREATE FUNCTION weir._engines() RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'weir_engines';

CREATE VIEW weir.engines AS
SELECT e ->> 'name' AS name,
       e ->> 'wrapper' AS wrapper,
       e ->> 'title' AS title,
       e ->> 'format' AS result_format,
       (e ->> 'push')::bool AS can_push,
       (e ->> 'write')::bool AS can_write,
       (e ->> 'cancel')::bool AS can_cancel,
       (e ->> 'count')::bool AS can_count,
       e -> 'options' AS options,
       e AS descriptor
  FROM jsonb_array_elements(weir._engines()) AS e;
GRANT SELECT ON weir.engines TO PUBLIC;

REVOKE ALL ON FUNCTION weir._start_worker(), weir._ddl_command_end(), weir._table_rewrite(), weir._sql_drop(), weir._servers_changed() FROM PUBLIC;
GRANT USAGE ON SCHEMA weir TO PUBLIC;
GRANT SELECT ON weir.mirrors, weir.progress, weir.memory TO PUBLIC;

SELECT weir._start_worker();
