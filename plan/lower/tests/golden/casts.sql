-- Golden values of casts through text. Use: psql -XAtq -f casts.sql > casts.jsonl
set client_min_messages = error;
set bytea_output = hex;
drop schema if exists weir_golden cascade;
create schema weir_golden;
set search_path = weir_golden, pg_catalog;

create or replace function gold(source text, target text, vals text[]) returns setof jsonb language plpgsql as $$
declare v text; answer text;
begin
  foreach v in array vals loop
    begin
      execute format(case when target = 'bytea' then 'select encode((%L::%s)::%s, ''hex'')' else 'select ((%L::%s)::%s)::text' end, v, source, target) into answer;
      return next jsonb_build_object('s', source, 't', target, 'a', v, 'v', answer);
    exception when others then
      return next jsonb_build_object('s', source, 't', target, 'a', v, 'e', sqlstate);
    end;
  end loop;
end $$;

select gold('text', 'uuid', array['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}', 'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1',
  '-a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11-', 'a-0eebc999c0b4ef8bb6d6bb9bd380a11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11 ', '', 'é', null]);
select gold('uuid', 'text', array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', null]);
select gold('uuid', 'varchar', array['00000000-0000-0000-0000-000000000000']);
select gold('text', 'bytea', array['\x00fF', '\x', '\x 0 0', '\x 00 ff', '\x0', '\xzz', '', 'a\\b', '\001\377', '\400', 'a\', 'é', '\\x00', null]);
select gold('json', 'text', array[' {"a" : 1} ', null]);
select gold('jsonb', 'text', array['{"a": 1.50}', '"x"']);
select gold('jsonb', 'varchar', array['[1, 2]']);
