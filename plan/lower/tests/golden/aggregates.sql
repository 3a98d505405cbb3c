-- Golden values of aggregates. Use: psql -XAtq -f aggregates.sql > aggregates.jsonl
set client_min_messages = error;
drop schema if exists weir_golden cascade;
create schema weir_golden;
set search_path = weir_golden, pg_catalog;
set timezone = 'UTC';

-- f: the aggregate; direct: its direct argument or NULL; types: of the row's values; args: how many of those are arguments;
-- sort: list of [value index from 0, descending, nulls first]; rows: lists of values.
create or replace function gold(f regprocedure, direct text, types text[], args int, is_distinct boolean, sort jsonb, rows jsonb) returns setof jsonb language plpgsql as $$
declare
  name text := (select proname from pg_proc where oid = f);
  dtype text := (select (proargtypes[0])::regtype::text from pg_proc where oid = f);
  kind "char" := (select aggkind from pg_aggregate where aggfnoid = f);
  v text := ''; list text; keys text; call text; answer jsonb; r jsonb;
begin
  for r in select * from jsonb_array_elements(rows) loop
    v := v || case when v = '' then '' else ', ' end || '(' || (select string_agg(
      case when e = 'null' then 'null' else quote_literal(e #>> '{}') end || '::' || types[i]
        || case when types[i] = 'text' then ' collate "C"' else '' end, ', ' order by i) from jsonb_array_elements(r) with ordinality x(e, i)) || ')';
  end loop;
  list := (select string_agg('v' || i, ', ' order by i) from generate_series(0, args - 1) i);
  keys := (select string_agg('v' || (k ->> 0) || case when (k ->> 1)::boolean then ' desc' else '' end
    || case when (k ->> 2)::boolean then ' nulls first' else ' nulls last' end, ', ' order by i) from jsonb_array_elements(sort) with ordinality x(k, i));
  call := case when kind = 'o' then format('%I(%s) within group (order by %s)', name, case when direct is null and name = 'mode' then '' else quote_nullable(direct) || '::' || dtype end, keys)
    else format('%I(%s %s %s)', name, case when is_distinct then 'distinct' else '' end, list, coalesce('order by ' || keys, '')) end;
  begin
    execute format('select to_jsonb(array[(%s)::text]) from (%s) t(%s)', call,
      case when v = '' then (select 'select ' || string_agg('null::' || t, ', ') || ' where false' from unnest(types) t) else 'values ' || v end,
      (select string_agg('v' || i, ', ') from generate_series(0, cardinality(types) - 1) i)) into answer;
    return next jsonb_build_object('f', f::oid::int, 'direct', direct, 't', to_jsonb(types), 'n', args, 'distinct', is_distinct, 'sort', sort, 'rows', rows, 'v', answer -> 0);
  exception when others then
    return next jsonb_build_object('f', f::oid::int, 'direct', direct, 't', to_jsonb(types), 'n', args, 'distinct', is_distinct, 'sort', sort, 'rows', rows, 'e', sqlstate);
  end;
end $$;

create temp table sets(t text, rows jsonb);
insert into sets values
  ('double precision', '[]'), ('double precision', '[[null]]'), ('double precision', '[["1"]]'), ('double precision', '[["1"],["2"]]'),
  ('double precision', '[["10"],["-2.5"],[null],["7"],["7"],["0.1"]]'), ('double precision', '[["Infinity"],["-Infinity"],["NaN"],["1"]]'),
  ('double precision', '[["1e300"],["-1e300"],["3"]]'), ('double precision', '[["0.1"],["0.2"],["0.3"],["0.4"],["0.5"],["0.6"],["0.7"]]'),
  ('integer', '[]'), ('integer', '[["3"],["1"],["2"],["2"],[null],["3"]]'), ('text', '[["b"],["a"],["B"],["é"],["b"],[""],[null]]'),
  ('date', '[["2020-01-01"],["infinity"],["1999-12-31"],["1999-12-31"]]'), ('boolean', '[["t"],["f"],["t"],[null]]');
select g.* from sets, unnest('{0,0.25,0.5,0.3333,0.9,1,-0.1,1.5,NaN,null}'::text[]) d, unnest('{f,t}'::boolean[]) de,
  gold('percentile_cont(float8,float8)', d, array['double precision'], 1, false, jsonb_build_array(jsonb_build_array(0, de, de)), rows) g where t = 'double precision';
select g.* from sets, unnest('{"{}","{0,0.5,NULL,1}","{0.25}",null,"{2}"}'::text[]) d, gold('percentile_cont(float8[],float8)', d, array['double precision'], 1, false, '[[0,false,false]]', rows) g where t = 'double precision';
select g.* from sets, unnest('{0,0.25,0.5,0.51,0.9,1,1.5,null}'::text[]) d, unnest('{f,t}'::boolean[]) de,
  gold('percentile_disc(float8,anyelement)', d, array[t], 1, false, jsonb_build_array(jsonb_build_array(0, de, de)), rows) g;
select g.* from sets, unnest('{"{0,0.5,NULL,1}"}'::text[]) d, gold('percentile_disc(float8[],anyelement)', d, array[t], 1, false, '[[0,false,false]]', rows) g;
select g.* from sets, unnest('{f,t}'::boolean[]) de, gold('mode(anyelement)', null, array[t], 1, false, jsonb_build_array(jsonb_build_array(0, de, de)), rows) g;
select g.* from sets, unnest('{f,t}'::boolean[]) de, gold('array_agg(anynonarray)', null, array[t], 1, false, jsonb_build_array(jsonb_build_array(0, de, de)), rows) g;
select g.* from sets, gold('array_agg(anynonarray)', null, array[t], 1, true, '[[0,true,true]]', rows) g where t <> 'double precision';
select g.* from sets, gold('array_agg(anynonarray)', null, array[t], 1, true, '[]', rows) g where t in ('integer', 'date', 'boolean');
select gold('string_agg(text,text)', null, '{text,text,integer}', 2, false, '[[2,false,false]]', rows::jsonb) from unnest(array['[]','[["a",",","2"],["b",";","1"],[null,"!","0"],["c",null,"3"],["",",",null]]','[[null,",","1"]]','[["x",",","1"]]']) rows;
select gold('string_agg(text,text)', null, '{text,text,integer}', 2, false, '[[2,true,true],[0,false,false]]', rows::jsonb) from unnest(array['[["a",",","2"],["b",";","2"],["c","|",null],["d","-","5"]]']) rows;
select gold('string_agg(text,text)', null, '{text,text}', 2, true, '[[0,false,false]]', rows::jsonb) from unnest(array['[["b",","],["a",","],["b",","],[null,","],["C",","]]','[]']) rows;
select g.* from sets, unnest('{min(date),max(date)}'::text[]) f, gold(f::regprocedure, null, array[t], 1, false, '[]', rows) g where t = 'date';
select g.* from sets, unnest('{min(text),max(text)}'::text[]) f, gold(f::regprocedure, null, array[t], 1, false, '[]', rows) g where t = 'text';
select gold(f::regprocedure, null, '{boolean}', 1, false, '[]', rows::jsonb) from unnest('{bool_and(boolean),bool_or(boolean),every(boolean)}'::text[]) f, unnest(array['[]','[[null]]','[["t"],[null]]','[["t"],["f"]]','[["f"],["f"]]']) rows;
