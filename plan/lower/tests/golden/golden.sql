-- Makes golden values: what Postgres answers for every combination of the given argument values.
-- Needs a database with encoding UTF8 and ctype C.UTF-8 or C. Use: psql -XAtq -f golden.sql -f text.sql > text.jsonl
set client_min_messages = error;
set bytea_output = hex;
set timezone = 'UTC';
drop schema if exists weir_golden cascade;
create schema weir_golden;
set search_path = weir_golden, pg_catalog;

-- One JSON line per combination: f the function's OID, t the argument types, c the collation, a the values (as text), v the answer (as text) or e the SQLSTATE.
create or replace function gold(f regprocedure, types text[], sets jsonb, coll text default 'C') returns setof jsonb language plpgsql as $$
declare
  total int := 1; k int; rest int; args text; vals jsonb; val jsonb; answer text; n int := jsonb_array_length(sets); call text;
  ret text := (select prorettype::regtype::text from pg_proc where oid = f);
  name text := (select proname from pg_proc where oid = f);
  variadic_array boolean := (select provariadic not in (0, '"any"'::regtype) from pg_proc where oid = f);
begin
  for i in 0 .. n - 1 loop total := total * jsonb_array_length(sets -> i); end loop;
  for c in 0 .. total - 1 loop
    rest := c; args := ''; vals := '[]';
    for i in 0 .. n - 1 loop
      k := rest % jsonb_array_length(sets -> i); rest := rest / jsonb_array_length(sets -> i);
      val := sets -> i -> k;
      vals := vals || jsonb_build_array(val);
      args := args || case when i > 0 then ', ' else '' end || case when variadic_array and i = n - 1 then 'variadic ' else '' end
        || case when val = 'null' then 'null' else quote_literal(val #>> '{}') end || '::' || types[i + 1]
        || case when types[i + 1] ~ '^(text|varchar|character|name)' and types[i + 1] !~ '\[\]' then format(' collate %I', coll) else '' end;
    end loop;
    begin
      call := format('pg_catalog.%I(%s)', name, args);
      if ret = 'bytea' then call := format('encode(%s, ''hex'')', call); end if;
      if ret ~ '\[\]$' then call := format('array_to_json(%s)', call); end if;
      execute format('select (%s)::text', call) into answer;
      return next jsonb_build_object('f', f::oid::int, 'c', coll, 't', to_jsonb(types), 'a', vals, 'r', ret, 'v', answer);
    exception when others then
      return next jsonb_build_object('f', f::oid::int, 'c', coll, 't', to_jsonb(types), 'a', vals, 'r', ret, 'e', sqlstate);
    end;
  end loop;
end $$;
