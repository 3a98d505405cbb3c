-- The tables of data.sql, in types that both sides know by these names.
CREATE TABLE items (id int PRIMARY KEY, n2 smallint, n4 int, n8 bigint, num numeric(12,2), big numeric(30,10), f8 double precision, f4 @float4@, flag boolean,
    v varchar(40), c char(10), t @text@, d date, ts @timestamp@, tz @timestamptz@);
CREATE TABLE parents (id int PRIMARY KEY, name varchar(20), tag varchar(5));
CREATE TABLE children (id int PRIMARY KEY, parent int, amount numeric(8,2));
