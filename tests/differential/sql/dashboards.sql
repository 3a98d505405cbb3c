-- Dashboards: SQL as BI tools and analysts write it: date spines, cohorts, funnels, gaps and islands, percentiles, pivots, running totals, the
-- best n of a group, cleaning of strings, JSON and arrays, over tables with edge values.
-- setup
DROP SCHEMA IF EXISTS dashboards CASCADE;
CREATE SCHEMA dashboards;
SET search_path = dashboards;
CREATE TYPE plan_kind AS ENUM ('trial', 'basic', 'pro', 'enterprise');
CREATE TABLE account (id bigint PRIMARY KEY, parent_id bigint, name text, slug varchar(40), country char(2), plan plan_kind, mrr numeric(12,2), seats int, created_at timestamptz NOT NULL, churned_on date, tags text[], props jsonb, score float8, active boolean, ext uuid, ip inet);
CREATE TABLE event (id bigint PRIMARY KEY, account_id bigint, user_id int, kind varchar(20) NOT NULL, at timestamp NOT NULL, at_tz timestamptz, payload jsonb, amount numeric, duration interval, source text, ms real);
CREATE TABLE invoice (id int PRIMARY KEY, account_id bigint NOT NULL, issued date NOT NULL, due date, paid_at timestamp, total numeric(10,2) NOT NULL, tax numeric(6,4), currency char(3) NOT NULL, status text, lines jsonb, note text);
CREATE TABLE employee (id int PRIMARY KEY, manager_id int, name text NOT NULL, dept text, hired date NOT NULL, salary numeric(9,2), start time, rating smallint);
INSERT INTO account SELECT i, CASE WHEN i > 6 AND i % 3 = 0 THEN i / 3 END, CASE WHEN i % 11 = 0 THEN NULL WHEN i % 7 = 0 THEN '  Acme  ' || i || ' ' ELSE (ARRAY['Acme', 'Globex', 'Initech', 'Ümläut', 'O''Neil'])[1 + i % 5] || ' ' || (ARRAY['Inc.', 'GmbH', 'Ltd', 'S.A.'])[1 + i % 4] || ' ' || i END,
    CASE WHEN i % 9 > 0 THEN 'acct-' || i || '_' || (i * 7919 % 100) END, (ARRAY['DE', 'US', 'FR', 'U', NULL])[1 + i % 5], (ARRAY['trial', 'basic', 'pro', 'enterprise', NULL])[1 + i % 5]::plan_kind,
    CASE WHEN i % 6 > 0 THEN (i * 37 % 900)::numeric / 4 END, CASE WHEN i % 8 > 0 THEN i * 13 % 250 END, timestamptz '2022-01-01 00:30+00' + i * interval '53 hours 17 minutes', CASE WHEN i % 4 = 0 THEN date '2023-01-31' + i END,
    CASE WHEN i % 10 = 0 THEN NULL WHEN i % 10 = 1 THEN '{}' ELSE ARRAY['t' || i % 4, 't' || i % 6, CASE WHEN i % 5 = 0 THEN NULL ELSE 'x' END] END,
    CASE WHEN i % 12 = 0 THEN NULL ELSE jsonb_build_object('source', (ARRAY['ads', 'organic', 'referral'])[1 + i % 3], 'n', i % 17, 'nested', jsonb_build_object('a', jsonb_build_array(i, i % 3), 'ok', i % 2 = 0), 'empty', NULL) END,
    CASE i % 20 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' WHEN 2 THEN 'Infinity' WHEN 3 THEN NULL ELSE i / 8.0 END, CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, md5(i::text)::uuid, ('10.0.' || i % 5 || '.' || i % 250)::inet FROM generate_series(1, 240) i;
INSERT INTO event SELECT i, CASE WHEN i % 13 > 0 THEN 1 + i * 7 % 260 END, i * 31 % 90, (ARRAY['view', 'signup', 'view', 'cart', 'purchase', 'click', 'refund'])[1 + (i * i + i / 3) % 7], timestamp '2023-01-01 00:00:00.25' + i * interval '5 hours 11 minutes 7.5 seconds',
    CASE WHEN i % 15 > 0 THEN timestamptz '2023-01-01 00:00+00' + i * interval '5 hours 11 minutes' END, CASE WHEN i % 6 = 0 THEN NULL WHEN i % 6 = 1 THEN jsonb_build_array(i, 'a', NULL) ELSE jsonb_build_object('price', (i % 90)::numeric / 4, 'items', jsonb_build_array(jsonb_build_object('sku', 'S' || i % 9, 'qty', i % 4), jsonb_build_object('sku', 'S' || i % 7, 'qty', 1)), 'utm', jsonb_build_object('campaign', 'c' || i % 5), 'ok', i % 2 = 1) END,
    CASE WHEN i % 7 > 0 THEN (i % 400)::numeric / (CASE WHEN i % 2 = 0 THEN 100 ELSE 1 END) END, CASE WHEN i % 4 > 0 THEN i % 50 * interval '7 minutes' END, (ARRAY['Google / cpc', 'newsletter', '(direct)', '', NULL, 'Bing / organic'])[1 + i % 6], i % 300 / 4.0 FROM generate_series(1, 2600) i;
INSERT INTO invoice SELECT i, 1 + i * 11 % 230, date '2022-06-30' + i % 500, CASE WHEN i % 5 > 0 THEN date '2022-06-30' + i % 500 + 30 END, CASE WHEN i % 3 > 0 THEN timestamp '2022-07-10 12:00' + i % 500 * interval '1 day' + i * interval '13 minutes' END,
    (i * 97 % 5000)::numeric / 10, CASE WHEN i % 4 > 0 THEN 0.19 ELSE 0 END, (ARRAY['EUR', 'USD', 'GBP'])[1 + i % 3], (ARRAY['open', 'paid', 'void', 'paid', NULL])[1 + i % 5],
    CASE WHEN i % 9 > 0 THEN jsonb_build_array(jsonb_build_object('d', 'seat', 'q', i % 6, 'p', 9.90), jsonb_build_object('d', 'addon ' || i % 4, 'q', 1, 'p', i % 30)) END, CASE i % 4 WHEN 0 THEN 'PO-' || i || '/2023' WHEN 1 THEN 'n/a' WHEN 2 THEN ' ' END FROM generate_series(1, 900) i;
INSERT INTO employee SELECT i, CASE WHEN i > 1 THEN i / 4 + 1 - (i / 4 + 1) / i END, 'Emp ' || chr(65 + i % 26) || i, (ARRAY['sales', 'eng', 'ops', NULL])[1 + i % 4], date '2015-03-31' + i * 29, CASE WHEN i % 10 > 0 THEN 30000 + i * 1234.56 END, time '08:00' + i % 5 * interval '15 minutes', (i % 6)::smallint FROM generate_series(1, 60) i;
-- queries
-- Date spines.
-- ordered
SELECT d::date AS day, count(e.id) AS n FROM generate_series(date '2023-01-01', date '2023-02-15', interval '1 day') d LEFT JOIN event e ON e.at::date = d::date GROUP BY 1 ORDER BY 1;
-- ordered
WITH months AS (SELECT generate_series(date_trunc('month', min(at)), date_trunc('month', max(at)), interval '1 month') AS m FROM event) SELECT m::date, count(e.id), coalesce(sum(e.amount), 0) FROM months LEFT JOIN event e ON e.at >= m AND e.at < m + interval '1 month' GROUP BY m ORDER BY m;
-- ordered
SELECT to_char(m, 'Mon YYYY') AS label, (SELECT count(*) FROM account a WHERE a.created_at < m + interval '1 month' AND (a.churned_on IS NULL OR a.churned_on >= m)) AS active FROM generate_series(timestamp '2022-01-01', timestamp '2023-06-01', '1 month') m ORDER BY m;
-- ordered
WITH RECURSIVE cal AS (SELECT date '2023-01-01' AS d UNION ALL SELECT d + 1 FROM cal WHERE d < date '2023-01-31') SELECT cal.d, to_char(cal.d, 'Dy') AS dow, count(i.id), sum(i.total) FROM cal LEFT JOIN invoice i ON i.issued = cal.d GROUP BY cal.d ORDER BY cal.d;
-- ordered
SELECT h, count(e.id) FROM generate_series(0, 23) h LEFT JOIN event e ON extract(hour FROM e.at) = h GROUP BY h ORDER BY h;
-- ordered
SELECT w.week_start, k.kind, count(e.id) FROM (SELECT generate_series('2023-01-02'::date, '2023-03-27'::date, '7 days')::date AS week_start) w CROSS JOIN (SELECT DISTINCT kind FROM event) k LEFT JOIN event e ON date_trunc('week', e.at)::date = w.week_start AND e.kind = k.kind GROUP BY 1, 2 ORDER BY 1, 2;
-- Metabase.
-- ordered
SELECT CAST(date_trunc('month', "dashboards"."event"."at") AS date) AS "at", "dashboards"."event"."kind" AS "kind", count(*) AS "count" FROM "dashboards"."event" LEFT JOIN "dashboards"."account" "Account" ON "dashboards"."event"."account_id" = "Account"."id" WHERE ("dashboards"."event"."at" >= timestamp '2023-02-01' AND "Account"."active" = TRUE) GROUP BY CAST(date_trunc('month', "dashboards"."event"."at") AS date), "dashboards"."event"."kind" ORDER BY 1, 2;
-- ordered
SELECT "source"."bucket" AS "bucket", COUNT(*) AS "count" FROM (SELECT FLOOR((("dashboards"."invoice"."total" - 0.0) / 50.0)) * 50.0 + 0.0 AS "bucket" FROM "dashboards"."invoice") AS "source" GROUP BY "source"."bucket" ORDER BY "source"."bucket" ASC LIMIT 2000;
-- ordered
SELECT ((extract(dow from "at")) + 1)::integer AS day_of_week, SUM("amount") AS sum, AVG("amount") AS avg FROM event GROUP BY 1 ORDER BY 1;
SELECT "source"."country", SUM(CASE WHEN "source"."active" = TRUE THEN 1 ELSE 0.0 END) AS a, CAST(SUM("source"."mrr") AS float) / NULLIF(COUNT(*), 0) AS r FROM (SELECT country, active, mrr FROM account WHERE lower(name) LIKE '%acme%' OR name IS NULL) "source" GROUP BY 1;
SELECT kind, CAST(extract(quarter from at) AS integer) AS q, count(DISTINCT account_id) AS accounts FROM event GROUP BY kind, CAST(extract(quarter from at) AS integer);
SELECT DISTINCT date_trunc('week', (at + interval '1 day')) - interval '1 day' AS week FROM event;
-- Superset.
-- ordered
SELECT DATE_TRUNC('day', at) AS __timestamp, kind AS kind, COUNT(*) AS count FROM event JOIN (SELECT kind AS kind__, COUNT(*) AS mme_inner__ FROM event WHERE at >= TO_TIMESTAMP('2023-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')::timestamp GROUP BY kind ORDER BY mme_inner__ DESC, kind LIMIT 3) AS anon_1 ON kind = kind__ GROUP BY kind, DATE_TRUNC('day', at) ORDER BY count DESC, 1, 2 LIMIT 100;
SELECT kind AS kind, source AS source, sum(amount) AS "SUM(amount)" FROM (SELECT * FROM event WHERE amount > 10) AS virtual_table GROUP BY kind, source ORDER BY "SUM(amount)" DESC NULLS LAST, 1, 2 LIMIT 50000;
SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY total) AS p25, percentile_cont(0.5) WITHIN GROUP (ORDER BY total) AS p50, percentile_cont(0.75) WITHIN GROUP (ORDER BY total) AS p75, min(total), max(total) FROM invoice;
SELECT currency, percentile_cont(ARRAY[0.1, 0.5, 0.9]) WITHIN GROUP (ORDER BY total) AS p, percentile_disc(0.9) WITHIN GROUP (ORDER BY total) AS d FROM invoice GROUP BY currency;
-- Tableau.
SELECT SUM(CAST("event"."id" AS DOUBLE PRECISION)) AS s, (CAST((DATE_TRUNC('MONTH', CAST("event"."at" AS DATE)) + 0 * INTERVAL '1 DAY') AS DATE)) AS "tmn:at:ok" FROM "dashboards"."event" "event" WHERE id < 50 GROUP BY 2;
SELECT "t0"."country" AS "country", COUNT(DISTINCT "t0"."id") AS "ctd:id:ok", SUM("t1"."total") AS "sum" FROM "dashboards"."account" "t0" INNER JOIN (SELECT "account_id", SUM("total") AS "total" FROM "dashboards"."invoice" GROUP BY 1) "t1" ON ("t0"."id" = "t1"."account_id") GROUP BY 1 HAVING (COUNT(1) > 0);
SELECT (CASE WHEN ("country" IN ('DE', 'FR')) THEN 'EU' WHEN (NOT ("country" IN ('DE', 'FR'))) THEN 'Other' ELSE NULL END) AS region, AVG(CAST("seats" AS BIGINT)) AS a FROM account GROUP BY 1;
SELECT CAST(TRUNC(EXTRACT(YEAR FROM issued)) AS INTEGER) AS y, CAST(TRUNC(EXTRACT(MONTH FROM issued)) AS INTEGER) AS m, SUM(total) FROM invoice GROUP BY 1, 2;
-- dbt.
WITH source AS (SELECT * FROM invoice), renamed AS (SELECT id AS invoice_id, account_id, issued AS issued_on, coalesce(status, 'unknown') AS status, total, round(total * tax, 2) AS tax_amount, trim(nullif(note, 'n/a')) AS note FROM source), final AS (SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY issued_on, invoice_id) AS nth FROM renamed) SELECT status, nth = 1 AS is_first, count(*), sum(total), sum(tax_amount), count(nullif(note, '')) FROM final GROUP BY 1, 2;
SELECT md5(cast(coalesce(cast(account_id AS text), '_null_') || '-' || coalesce(cast(kind AS text), '_null_') AS text)) AS surrogate_key, count(*) FROM event GROUP BY 1 HAVING count(*) > 2;
SELECT id AS unique_field, count(*) AS n_records FROM event WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1;
WITH child AS (SELECT account_id AS from_field FROM event WHERE account_id IS NOT NULL), parent AS (SELECT id AS to_field FROM account) SELECT from_field, count(*) FROM child LEFT JOIN parent ON child.from_field = parent.to_field WHERE parent.to_field IS NULL GROUP BY 1;
WITH all_values AS (SELECT status AS value_field, count(*) AS n_records FROM invoice GROUP BY status) SELECT * FROM all_values WHERE value_field NOT IN ('open', 'paid');
WITH rs AS (SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY at DESC, id) AS rn FROM event WHERE kind = 'purchase') SELECT account_id, at, amount FROM rs WHERE rn = 1;
SELECT kind, sum(CASE WHEN source = '(direct)' THEN amount ELSE 0 END) AS direct, sum(CASE WHEN source = 'newsletter' THEN amount ELSE 0 END) AS newsletter, max(CASE WHEN source IS NULL THEN at END) AS last_null FROM event GROUP BY kind;
-- Cohorts.
-- ordered
WITH c AS (SELECT id, date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS cohort FROM account), a AS (SELECT account_id, date_trunc('month', at)::date AS month FROM event GROUP BY 1, 2), s AS (SELECT c.cohort, count(DISTINCT c.id) AS size FROM c GROUP BY 1), r AS (SELECT c.cohort, ((extract(year FROM a.month) - extract(year FROM c.cohort)) * 12 + extract(month FROM a.month) - extract(month FROM c.cohort))::int AS nth, count(DISTINCT a.account_id) AS n FROM c JOIN a ON a.account_id = c.id GROUP BY 1, 2) SELECT r.cohort, r.nth, s.size, r.n, round(100.0 * r.n / s.size, 1) AS pct FROM r JOIN s USING (cohort) WHERE r.nth >= 0 ORDER BY 1, 2;
-- ordered
WITH first_purchase AS (SELECT DISTINCT ON (account_id) account_id, at AS first_at FROM event WHERE kind = 'purchase' AND account_id IS NOT NULL ORDER BY account_id, at) SELECT date_trunc('quarter', f.first_at)::date AS cohort, count(*) AS n, count(*) FILTER (WHERE EXISTS (SELECT 1 FROM event e WHERE e.account_id = f.account_id AND e.kind = 'purchase' AND e.at > f.first_at AND e.at <= f.first_at + interval '90 days')) AS repeat_90d FROM first_purchase f GROUP BY 1 ORDER BY 1;
SELECT cohort, max(CASE WHEN nth = 0 THEN n END) AS m0, max(CASE WHEN nth = 1 THEN n END) AS m1, max(CASE WHEN nth = 2 THEN n END) AS m2 FROM (SELECT date_trunc('month', f)::date AS cohort, (at::date - f::date) / 30 AS nth, count(DISTINCT user_id) AS n FROM (SELECT e.*, min(at) OVER (PARTITION BY user_id) AS f FROM event e) x GROUP BY 1, 2) y GROUP BY cohort;
-- Funnels.
SELECT count(*) FILTER (WHERE v IS NOT NULL) AS viewed, count(*) FILTER (WHERE c > v) AS carted, count(*) FILTER (WHERE p > c AND c > v) AS bought, round(count(*) FILTER (WHERE p > c AND c > v)::numeric / nullif(count(*) FILTER (WHERE v IS NOT NULL), 0), 4) AS rate FROM (SELECT user_id, min(at) FILTER (WHERE kind = 'view') AS v, min(at) FILTER (WHERE kind = 'cart') AS c, min(at) FILTER (WHERE kind = 'purchase') AS p FROM event GROUP BY user_id) f;
WITH steps AS (SELECT user_id, kind, at, lead(kind) OVER w AS next_kind, lead(at) OVER w AS next_at FROM event WINDOW w AS (PARTITION BY user_id ORDER BY at)) SELECT kind, next_kind, count(*) AS n, avg(next_at - at) AS mean, percentile_disc(0.5) WITHIN GROUP (ORDER BY next_at - at) AS median FROM steps GROUP BY 1, 2;
SELECT s1.user_id, s1.t AS viewed, s2.t AS carted, s3.t AS bought FROM (SELECT user_id, min(at) AS t FROM event WHERE kind = 'view' GROUP BY 1) s1 LEFT JOIN LATERAL (SELECT min(at) AS t FROM event e WHERE e.user_id = s1.user_id AND e.kind = 'cart' AND e.at > s1.t) s2 ON true LEFT JOIN LATERAL (SELECT min(at) AS t FROM event e WHERE e.user_id = s1.user_id AND e.kind = 'purchase' AND e.at > s2.t) s3 ON true;
-- Gaps and islands.
WITH d AS (SELECT DISTINCT account_id, at::date AS day FROM event WHERE account_id < 40), g AS (SELECT account_id, day, day - (row_number() OVER (PARTITION BY account_id ORDER BY day))::int AS grp FROM d) SELECT account_id, min(day) AS from_day, max(day) AS to_day, count(*) AS days FROM g GROUP BY account_id, grp HAVING count(*) > 1;
WITH x AS (SELECT user_id, at, CASE WHEN at - lag(at) OVER (PARTITION BY user_id ORDER BY at) <= interval '10 days' THEN 0 ELSE 1 END AS is_new FROM event), y AS (SELECT *, sum(is_new) OVER (PARTITION BY user_id ORDER BY at ROWS UNBOUNDED PRECEDING) AS session FROM x) SELECT user_id, session, min(at), max(at), count(*), max(at) - min(at) AS len FROM y GROUP BY 1, 2;
SELECT kind, count(*) AS runs, max(n) AS longest FROM (SELECT kind, grp, count(*) AS n FROM (SELECT id, kind, row_number() OVER (ORDER BY id) - row_number() OVER (PARTITION BY kind ORDER BY id) AS grp FROM event) a GROUP BY kind, grp) b GROUP BY kind;
SELECT prev + 1 AS gap_from, id - 1 AS gap_to FROM (SELECT id, lag(id) OVER (ORDER BY id) AS prev FROM invoice WHERE id % 50 > 3) x WHERE id > prev + 1;
-- Pivots.
-- ordered
SELECT date_trunc('month', issued)::date AS month, sum(total) FILTER (WHERE currency = 'EUR') AS eur, sum(total) FILTER (WHERE currency = 'USD') AS usd, sum(total) FILTER (WHERE currency = 'GBP') AS gbp, sum(total) AS total FROM invoice GROUP BY 1 ORDER BY 1;
SELECT a.country, count(*) FILTER (WHERE plan = 'trial') AS trial, count(*) FILTER (WHERE plan = 'pro') AS pro, count(*) FILTER (WHERE plan > 'basic') AS upper, min(plan), max(plan) FROM account a GROUP BY 1;
-- ordered
SELECT unnest(ARRAY['seats', 'mrr']) AS metric, unnest(ARRAY[sum(seats)::numeric, sum(mrr)]) AS value FROM account ORDER BY 1;
SELECT a.id, m.metric, m.value FROM account a CROSS JOIN LATERAL (VALUES ('seats', a.seats::numeric), ('mrr', a.mrr), ('tags', cardinality(a.tags)::numeric)) AS m(metric, value) WHERE m.value IS NOT NULL AND a.id < 60;
SELECT metric, sum(value), count(*) FROM account a, LATERAL (VALUES ('seats', a.seats::numeric), ('mrr', a.mrr)) m (metric, value) GROUP BY metric;
SELECT account_id, jsonb_object_agg(kind, n ORDER BY kind) FROM (SELECT account_id, kind, count(*) AS n FROM event WHERE account_id < 30 GROUP BY 1, 2) x GROUP BY account_id;
-- Running totals, moving averages.
-- ordered
SELECT day, n, sum(n) OVER (ORDER BY day) AS running, avg(n) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)::numeric(10,2) AS ma7, n - lag(n, 7) OVER (ORDER BY day) AS wow, first_value(n) OVER (ORDER BY day), max(n) OVER (ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS best_before FROM (SELECT at::date AS day, count(*) AS n FROM event GROUP BY 1) x ORDER BY day;
-- ordered
SELECT issued, sum(total) AS s, sum(sum(total)) OVER (PARTITION BY date_trunc('year', issued) ORDER BY issued) AS ytd, sum(sum(total)) OVER (ORDER BY issued RANGE BETWEEN '30 days' PRECEDING AND CURRENT ROW) AS last30 FROM invoice GROUP BY issued ORDER BY issued;
SELECT id, account_id, total, sum(total) OVER w AS s, count(*) OVER w AS c, total / nullif(sum(total) OVER (PARTITION BY account_id), 0) AS share FROM invoice WINDOW w AS (PARTITION BY account_id ORDER BY issued, id);
-- ordered
SELECT date_trunc('month', issued)::date AS m, sum(total) AS s, lag(sum(total)) OVER (ORDER BY date_trunc('month', issued)) AS prev, round((sum(total) / nullif(lag(sum(total)) OVER (ORDER BY date_trunc('month', issued)::date), 0) - 1) * 100, 2) AS growth, lag(sum(total), 12, 0.0) OVER (ORDER BY date_trunc('month', issued)) AS year_ago FROM invoice GROUP BY date_trunc('month', issued) ORDER BY 1;
SELECT dept, name, salary, salary - avg(salary) OVER (PARTITION BY dept) AS diff, percent_rank() OVER (PARTITION BY dept ORDER BY salary) AS pr, cume_dist() OVER (PARTITION BY dept ORDER BY salary) AS cd, ntile(4) OVER (ORDER BY salary, id) AS q FROM employee;
SELECT dept, name, nth_value(name, 2) OVER (PARTITION BY dept ORDER BY salary DESC NULLS LAST, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS second, last_value(name) OVER (PARTITION BY dept ORDER BY salary NULLS FIRST, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS top FROM employee;
-- Top n of a group.
SELECT a.country, t.* FROM (SELECT DISTINCT country FROM account) a CROSS JOIN LATERAL (SELECT b.id, b.mrr FROM account b WHERE b.country = a.country ORDER BY b.mrr DESC NULLS LAST, b.id LIMIT 3) t;
SELECT * FROM (SELECT kind, account_id, sum(amount) AS s, dense_rank() OVER (PARTITION BY kind ORDER BY sum(amount) DESC NULLS LAST) AS r FROM event GROUP BY 1, 2) x WHERE r <= 3;
-- ordered
SELECT kind, count(*) AS n FROM event GROUP BY kind ORDER BY n DESC, kind FETCH FIRST 3 ROWS ONLY;
SELECT total, id FROM invoice ORDER BY total DESC FETCH FIRST 5 ROWS WITH TIES;
-- ordered
SELECT DISTINCT ON (a.country) a.country, a.name, a.mrr FROM account a WHERE a.mrr IS NOT NULL ORDER BY a.country, a.mrr DESC, a.id;
SELECT CASE WHEN r <= 5 THEN source ELSE 'Other' END AS source, sum(n) FROM (SELECT coalesce(nullif(source, ''), 'none') AS source, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) AS r FROM event GROUP BY 1) x GROUP BY 1;
SELECT a.id, (SELECT e.kind FROM event e WHERE e.account_id = a.id ORDER BY e.at DESC LIMIT 1) AS last_kind, (SELECT count(*) FROM invoice i WHERE i.account_id = a.id AND i.total > (SELECT avg(j.total) FROM invoice j WHERE j.account_id = a.id)) AS above FROM account a WHERE a.id < 80;
SELECT a.id, x.last3 FROM account a LEFT JOIN LATERAL (SELECT array_agg(k ORDER BY at DESC) AS last3 FROM (SELECT e.kind::text AS k, e.at FROM event e WHERE e.account_id = a.id ORDER BY e.at DESC LIMIT 3) y) x ON true;
SELECT a.id, s.* FROM account a, LATERAL (SELECT string_agg(q.kind, '>' ORDER BY q.at) AS path, count(*) AS n FROM (SELECT kind, at FROM event e WHERE e.account_id = a.id ORDER BY at LIMIT 5) q) s WHERE s.n > 0;
-- Cleaning of strings.
SELECT id, initcap(trim(name)) AS n, regexp_replace(lower(name), '[^a-z0-9]+', '-', 'g') AS slug, split_part(slug, '-', 2) AS p, substring(slug from 'acct-(\d+)') AS num, position('-' in slug) AS pos, lpad(id::text, 6, '0') AS code, left(name, 3) || '…' AS short, reverse(slug) AS r, translate(slug, '-_', '  ') AS t FROM account;
SELECT regexp_replace(name, '\s*(Inc\.|GmbH|Ltd|S\.A\.)?\s*\d*\s*$', '') AS base, count(*) FROM account GROUP BY 1;
SELECT (regexp_match(slug, '_(\d+)$'))[1]::int AS n, count(*) FROM account WHERE slug ~ '_\d+$' GROUP BY 1;
SELECT source, nullif(btrim(split_part(source, '/', 1)), '') AS src, nullif(btrim(split_part(source, '/', 2)), '') AS medium, count(*) FROM event GROUP BY 1, 2, 3;
SELECT concat_ws(', ', name, country, plan::text) AS label, format('%s (%s)', name, coalesce(country, '??')) AS f, concat(name, '|', country, '|', mrr) AS c FROM account;
SELECT CASE WHEN note ~ '^PO-\d+' THEN 'po' WHEN note ILIKE 'N/A' THEN 'na' WHEN btrim(note) = '' THEN 'blank' WHEN note IS NULL THEN 'null' ELSE 'other' END AS kind, count(*) FROM invoice GROUP BY 1;
SELECT string_agg(DISTINCT upper(kind), ',' ORDER BY upper(kind)) FROM event;
SELECT word, count(*) FROM account, regexp_split_to_table(lower(coalesce(name, '')), '\s+') AS word WHERE word <> '' GROUP BY word;
SELECT w, count(*) FROM account, unnest(string_to_array(trim(name), ' ')) w GROUP BY w HAVING count(*) > 5;
SELECT char_length(name), octet_length(name), ascii(name), chr(65 + (id % 26)::int), repeat('*', (id % 5)::int), overlay(slug placing 'XX' from 2 for 3), starts_with(slug, 'acct-1'), strpos(slug, '_'), to_hex(id), md5(slug) FROM account WHERE id < 30;
-- JSON.
SELECT props ->> 'source' AS source, count(*), avg((props ->> 'n')::int), sum((props -> 'nested' -> 'a' ->> 0)::numeric), count(*) FILTER (WHERE (props #>> '{nested,ok}')::boolean) FROM account GROUP BY 1;
SELECT payload -> 'utm' ->> 'campaign' AS c, sum((payload ->> 'price')::numeric) FROM event WHERE jsonb_typeof(payload) = 'object' GROUP BY 1;
SELECT item ->> 'sku' AS sku, sum((item ->> 'qty')::int) AS qty, count(DISTINCT e.id) FROM event e CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(e.payload -> 'items') = 'array' THEN e.payload -> 'items' ELSE '[]' END) AS item GROUP BY 1;
SELECT i.id, l.d, l.q * l.p AS amount FROM invoice i, jsonb_to_recordset(i.lines) AS l(d text, q int, p numeric) WHERE i.id < 60;
SELECT l.value ->> 'd' AS d, l.ordinality, sum((l.value ->> 'q')::int * (l.value ->> 'p')::numeric) FROM invoice i, jsonb_array_elements(i.lines) WITH ORDINALITY AS l GROUP BY 1, 2;
SELECT key, count(*) FROM account, jsonb_each(props) GROUP BY key;
SELECT key, value, count(*) FROM account, jsonb_each_text(props) WHERE key <> 'nested' GROUP BY 1, 2;
SELECT id FROM account WHERE props @> '{"source": "ads"}' AND props ? 'n' AND NOT props ?| ARRAY['zzz'];
SELECT id, jsonb_path_query_first(payload, '$.items[*] ? (@.qty > 2).sku') AS s, jsonb_path_exists(payload, '$.items[*] ? (@.sku == "S1")') AS e FROM event WHERE id < 200;
SELECT jsonb_build_object('id', id, 'name', name, 'tags', tags, 'mrr', mrr) FROM account WHERE id < 40;
SELECT account_id, jsonb_agg(jsonb_build_object('id', id, 'total', total) ORDER BY id) FROM invoice WHERE account_id < 20 GROUP BY account_id;
SELECT row_to_json(t) FROM (SELECT id, name, country, plan FROM account WHERE id < 20) t;
SELECT json_agg(t ORDER BY t.id) FROM (SELECT id, kind, at FROM event WHERE id < 20) t;
-- Arrays.
SELECT tag, count(*) FROM account, unnest(tags) AS tag GROUP BY tag;
SELECT id FROM account WHERE 't1' = ANY (tags) OR tags @> ARRAY['t3'] OR tags && '{x,y}';
SELECT id, array_length(tags, 1), cardinality(tags), array_to_string(tags, '|', '-'), tags[1], tags[2:3], array_position(tags, 'x') FROM account;
SELECT account_id, array_agg(DISTINCT kind) FROM event GROUP BY account_id;
SELECT array_agg(DISTINCT total) FROM invoice WHERE id < 40;
SELECT a.id, t.tag, t.n FROM account a LEFT JOIN LATERAL unnest(a.tags) WITH ORDINALITY AS t(tag, n) ON true WHERE a.id < 50;
SELECT country, array_agg(country) FROM account GROUP BY country;
SELECT min(tags), max(tags) FROM account;
SELECT id, tags FROM account WHERE tags < ARRAY['t2'] ORDER BY tags, id;
-- Dates and times.
-- ordered
SELECT to_char(at, 'YYYY-MM-DD HH24:MI:SS') AS a, to_char(at, 'Day, DD Mon YYYY') AS b, to_char(at, 'Q') AS q, to_char(at, 'IYYY-IW') AS w, to_char(at, 'HH12:MI AM') AS c, to_char(amount, 'FM999G999D00') AS d, to_char(id, '00000') AS e FROM event WHERE id < 50 ORDER BY id;
SELECT extract(isodow FROM at) AS dow, extract(week FROM at) AS w, extract(doy FROM at) AS doy, extract(epoch FROM at)::bigint AS ep, date_part('hour', at) AS h, count(*) FROM event GROUP BY 1, 2, 3, 4, 5;
SELECT (at_tz AT TIME ZONE 'Europe/Berlin')::date AS local_day, count(*) FROM event GROUP BY 1;
SELECT date_trunc('day', at_tz, 'America/New_York') AS d, extract(hour FROM at_tz AT TIME ZONE 'Asia/Tokyo') AS h, count(*) FROM event GROUP BY 1, 2;
SELECT id, age(churned_on, created_at::date), age(timestamp '2024-01-01', created_at::timestamp), extract(year FROM age(churned_on, created_at::date)) * 12 + extract(month FROM age(churned_on, created_at::date)) AS months FROM account;
SELECT account_id, avg(paid_at - issued) AS mean, max(paid_at::date - due) AS late, count(*) FILTER (WHERE paid_at::date > due) FROM invoice GROUP BY account_id;
SELECT CASE WHEN paid_at IS NOT NULL THEN 'paid' WHEN date '2023-12-01' - due <= 0 THEN 'current' WHEN date '2023-12-01' - due <= 30 THEN '1-30' WHEN date '2023-12-01' - due <= 60 THEN '31-60' ELSE '60+' END AS bucket, count(*), sum(total) FROM invoice GROUP BY 1;
SELECT date_bin('15 minutes', at, timestamp '2023-01-01') AS b, count(*) FROM event GROUP BY 1 HAVING count(*) > 0;
SELECT to_timestamp(floor(extract(epoch FROM at_tz) / 3600) * 3600) AS h, count(*) FROM event WHERE at_tz IS NOT NULL GROUP BY 1;
SELECT make_date(extract(year FROM issued)::int, extract(month FROM issued)::int, 1) AS m, (date_trunc('month', issued) + interval '1 month - 1 day')::date AS eom, count(*) FROM invoice GROUP BY 1, 2;
SELECT count(*) FROM event WHERE at BETWEEN '2023-03-01' AND '2023-03-31 23:59:59' AND extract(isodow FROM at) < 6 AND at::time BETWEEN '09:00' AND '17:00';
SELECT count(*), min(at), max(at) FROM event WHERE at >= date_trunc('month', timestamp '2023-05-17') - interval '3 months' AND at < date_trunc('month', timestamp '2023-05-17');
SELECT id FROM event WHERE (at, at + duration) OVERLAPS (timestamp '2023-02-01', timestamp '2023-02-03');
SELECT justify_hours(sum(duration)), avg(duration), extract(epoch FROM sum(duration)) / 60 AS minutes FROM event;
SELECT start, count(*), start + interval '30 minutes' AS s FROM employee GROUP BY start;
SELECT issued + (total / 100)::int AS shifted, issued - interval '1 year' AS y, date_part('day', due::timestamp - issued::timestamp) AS d FROM invoice WHERE id < 50;
-- Grouping sets.
SELECT coalesce(country, 'all') AS c, plan, count(*), sum(mrr), grouping(country) AS g FROM account GROUP BY ROLLUP (country, plan);
SELECT extract(year FROM issued) AS y, extract(month FROM issued) AS m, currency, sum(total) FROM invoice GROUP BY GROUPING SETS ((1, 2), (1), (currency), ());
SELECT CASE WHEN grouping(dept) = 1 THEN 'TOTAL' ELSE coalesce(dept, '(none)') END AS d, count(*), sum(salary), avg(rating) FROM employee GROUP BY ROLLUP (dept);
SELECT 'x' AS label, currency, status, count(*) FROM invoice GROUP BY GROUPING SETS ((label, currency), (status), ());
SELECT currency, status, count(*), rank() OVER (PARTITION BY grouping(currency, status) ORDER BY count(*) DESC) FROM invoice GROUP BY CUBE (currency, status);
SELECT kind, date_trunc('month', at) AS m, sum(amount), count(DISTINCT account_id) FROM event GROUP BY GROUPING SETS ((kind, date_trunc('month', at)), (kind), ());
-- Recursion.
WITH RECURSIVE org AS (SELECT id, manager_id, name, 1 AS lvl, name::text AS path FROM employee WHERE manager_id IS NULL UNION ALL SELECT e.id, e.manager_id, e.name, o.lvl + 1, o.path || ' > ' || e.name FROM employee e JOIN org o ON e.manager_id = o.id) SELECT * FROM org;
WITH RECURSIVE org AS (SELECT id, id AS root FROM employee UNION ALL SELECT e.id, o.root FROM employee e JOIN org o ON e.manager_id = o.id AND e.id <> o.id) SELECT root, count(*) - 1 AS reports FROM org GROUP BY root HAVING count(*) > 1;
WITH RECURSIVE up AS (SELECT id, parent_id, ARRAY[id] AS path FROM account WHERE parent_id IS NOT NULL UNION ALL SELECT u.id, a.parent_id, u.path || a.id FROM up u JOIN account a ON a.id = u.parent_id WHERE a.id <> ALL (u.path)) SELECT id, max(cardinality(path)) FROM up GROUP BY id;
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 24) SELECT n, count(i.id) FROM t LEFT JOIN invoice i ON extract(hour FROM i.paid_at) = n % 24 GROUP BY n;
-- Set operations and VALUES.
-- ordered
SELECT 'events' AS what, count(*)::text AS value FROM event UNION ALL SELECT 'accounts', count(*)::text FROM account UNION ALL SELECT 'revenue', to_char(sum(total), 'FM999,999,990.00') FROM invoice ORDER BY 1;
SELECT account_id FROM event WHERE kind = 'purchase' INTERSECT SELECT account_id FROM invoice WHERE status = 'paid' EXCEPT SELECT id FROM account WHERE churned_on IS NOT NULL;
SELECT v.lo, v.hi, v.label, count(i.id), sum(i.total) FROM (VALUES (0, 100, 'small'), (100, 300, 'medium'), (300, NULL, 'large')) v(lo, hi, label) LEFT JOIN invoice i ON i.total >= v.lo AND (v.hi IS NULL OR i.total < v.hi) GROUP BY 1, 2, 3;
SELECT i.currency, sum(i.total * r.rate)::numeric(14,2) FROM invoice i JOIN (VALUES ('EUR', 1.0), ('USD', 0.92), ('GBP', 1.17)) AS r(cur, rate) ON r.cur = i.currency GROUP BY 1;
SELECT width_bucket(total, 0, 500, 10) AS b, count(*), min(total), max(total) FROM invoice GROUP BY 1;
SELECT id, CASE WHEN total >= 400 THEN 'A' WHEN total >= 200 THEN 'B' ELSE 'C' END AS abc, sum(total) OVER (ORDER BY total DESC, id) / sum(total) OVER () AS cum FROM invoice;
SELECT a.id, a.name, coalesce(i.n, 0) AS n, coalesce(i.s, 0) AS s, i.last, e.last_event, greatest(i.last, e.last_event::date) AS touched FROM account a LEFT JOIN (SELECT account_id, count(*) AS n, sum(total) AS s, max(issued) AS last FROM invoice WHERE status IS DISTINCT FROM 'void' GROUP BY 1) i ON i.account_id = a.id LEFT JOIN (SELECT account_id, max(at) AS last_event FROM event GROUP BY 1) e ON e.account_id = a.id WHERE a.active IS NOT FALSE;
SELECT count(*) AS total, count(DISTINCT account_id) AS accounts, count(*) FILTER (WHERE status = 'paid') * 100.0 / count(*) AS pct, bool_or(total > 490), every(total >= 0), mode() WITHIN GROUP (ORDER BY currency) FROM invoice;
SELECT status, round(stddev_samp(total), 4), round(variance(total), 2), round(stddev_pop(total), 3) FROM invoice GROUP BY status;
-- expect: postgres (is not exact)
SELECT corr(seats, id), regr_slope(seats, id), covar_pop(seats, id), regr_count(seats, id) FROM account;
SELECT a.country, b.country, count(*) FROM account a JOIN account b ON a.plan = b.plan AND a.id < b.id AND a.country <> b.country GROUP BY 1, 2;
SELECT c.id FROM account c WHERE (SELECT count(*) FROM invoice i WHERE i.account_id = c.id AND i.status = 'open') > 1 AND c.id IN (SELECT account_id FROM event GROUP BY account_id HAVING count(*) > 5);
SELECT e.dept, e.name FROM employee e WHERE e.salary > ALL (SELECT m.salary FROM employee m WHERE m.dept = e.dept AND m.id <> e.id AND m.salary IS NOT NULL);
SELECT e.name, m.name AS manager, e.salary > m.salary AS more FROM employee e LEFT JOIN employee m ON m.id = e.manager_id WHERE e.salary > coalesce(m.salary, 0);
SELECT id, (ROW(total, id) > ROW(100, 5)) AS r FROM invoice WHERE (account_id, currency) IN (SELECT account_id, currency FROM invoice GROUP BY 1, 2 HAVING count(*) > 1);
SELECT account_id, currency FROM invoice WHERE (issued, id) = (SELECT max(issued), max(id) FROM invoice x WHERE x.account_id = invoice.account_id);
SELECT ip, count(*), host(ip), min(ip), max(ip) FROM account GROUP BY ip;
SELECT max(ip), min(ip) FROM account;
SELECT coalesce(a.country, 'ZZ'), sum(t.s) OVER (PARTITION BY a.country) FROM account a JOIN (SELECT account_id, sum(total) s FROM invoice GROUP BY 1) t ON t.account_id = a.id;
SELECT country, country = 'U', country LIKE 'U%', length(country), country || '!' FROM account GROUP BY country;
SELECT country FROM account WHERE country = 'U ' OR country IN ('DE', 'USA', 'F') OR country = 'DE   ';
SELECT sum(ms), avg(ms), max(ms), min(score), max(score) FROM event, account WHERE event.id = account.id AND score < 100;
SELECT ext, count(*) FROM account WHERE ext > 'f0000000-0000-0000-0000-000000000000' GROUP BY ext;
SELECT nullif(mrr, 0) IS NULL AS no_mrr, count(*), 100.0 * count(*) / sum(count(*)) OVER () AS pct FROM account GROUP BY 1;
-- expect from 16: postgres (the scale of logarithms and powers of numeric differs between releases)
SELECT round(avg(mrr), 2), trunc(avg(mrr), 1), ceil(avg(seats)), floor(avg(seats)), sum(mrr)::int, abs(min(mrr) - max(mrr)), mod(sum(seats), 7), power(2, count(*) % 10), sqrt(count(*)::numeric), ln(count(*)::numeric), sign(sum(mrr)) FROM account;
SELECT created_at::date, count(*) FROM account WHERE created_at >= '2022-03-01 00:00:00+00'::timestamptz GROUP BY created_at::date;
SELECT EXISTS (SELECT 1 FROM event WHERE kind = 'refund' AND amount > 300) AS any_refund, (SELECT json_agg(DISTINCT kind) FROM event) AS kinds;
SELECT id, 'a' || NULL, COALESCE(NULL, name, 'x'), name IS NULL OR name = '' AS blank FROM account WHERE NOT (active AND seats > 100) OR active IS UNKNOWN;
SELECT e.account_id, e.n, pct FROM (SELECT account_id, count(*) n, cume_dist() OVER (ORDER BY count(*)) AS pct FROM event GROUP BY account_id) e WHERE pct > 0.9;
SELECT x.k, x.v, row_number() OVER (ORDER BY x.v DESC, x.k) FROM (SELECT kind AS k, count(*) AS v FROM event GROUP BY kind) x;
-- More of the same, by what it does.
SELECT id FROM account a WHERE EXISTS (SELECT count(*) FROM event e WHERE e.account_id = a.id LIMIT 0) OR a.id < 5;
SELECT id FROM account a WHERE EXISTS (SELECT count(*) FROM event e LIMIT 0) OR a.id < 5;
SELECT id FROM account a WHERE EXISTS (SELECT count(*) FROM event e OFFSET 1) OR a.id < 5;
SELECT id FROM account a WHERE NOT EXISTS (SELECT count(*) FROM event e WHERE e.account_id = a.id OFFSET 1) AND a.id < 5;
SELECT id FROM account a WHERE EXISTS (SELECT 1 FROM event e WHERE e.account_id = a.id LIMIT 0) OR a.id < 5;
SELECT id, total FROM invoice ORDER BY 'x'::text FETCH FIRST 5 ROWS WITH TIES;
SELECT count(*) FROM (SELECT id, total FROM invoice ORDER BY 'x'::text FETCH FIRST 5 ROWS WITH TIES) t;
SELECT count(*) FROM (SELECT id FROM invoice ORDER BY currency OFFSET 2 FETCH FIRST 0 ROWS WITH TIES) t;
SELECT CASE WHEN country IN ('DE', 'FR') THEN country ELSE 'Other' END AS c, count(*) FROM account GROUP BY 1;
SELECT x.c, count(*) FROM (SELECT CASE WHEN currency = 'EUR' THEN currency ELSE 'foreign' END AS c FROM invoice) x GROUP BY x.c ORDER BY 1;
SELECT currency FROM invoice UNION SELECT 'total' UNION SELECT 'n/a';
SELECT currency, sum(total) FROM invoice GROUP BY 1 UNION ALL SELECT 'TOTAL', sum(total) FROM invoice ORDER BY 1;
SELECT country || '-' || currency, count(*) FROM account a JOIN invoice i ON i.account_id = a.id GROUP BY 1;
SELECT a.country, array_agg(DISTINCT i.currency) FROM account a JOIN invoice i ON i.account_id = a.id GROUP BY 1;
SELECT string_agg(DISTINCT currency, ',' ORDER BY currency) FROM invoice;
SELECT a.id, (SELECT sum(i.total) FROM invoice i WHERE i.account_id = a.id AND i.issued >= (SELECT max(e.at)::date - 300 FROM event e WHERE e.account_id = a.id)) FROM account a;
SELECT a.id, t.* FROM account a CROSS JOIN LATERAL (SELECT i.id AS iid, i.total, row_number() OVER (ORDER BY i.total DESC, i.id) AS rn FROM invoice i WHERE i.account_id = a.id ORDER BY i.total DESC, i.id LIMIT 2) t;
SELECT a.id, t.n FROM account a, LATERAL (SELECT count(*) AS n FROM (SELECT 1 FROM invoice i WHERE i.account_id = a.id LIMIT 2) x) t;
SELECT a.id, t.m, u.s FROM account a, LATERAL (SELECT max(total) AS m FROM invoice i WHERE i.account_id = a.id) t, LATERAL (SELECT sum(total) AS s FROM invoice i WHERE i.total < t.m AND i.account_id = a.id) u;
SELECT a.id, d.day, (SELECT count(*) FROM event e WHERE e.account_id = a.id AND e.at::date = d.day) FROM account a CROSS JOIN LATERAL generate_series(a.created_at::date, a.created_at::date + 3, interval '1 day') g CROSS JOIN LATERAL (SELECT g::date AS day) d WHERE a.id < 10;
SELECT a.id, (SELECT string_agg(k, ',') FROM (SELECT DISTINCT e.kind AS k FROM event e WHERE e.account_id = a.id ORDER BY 1) x) FROM account a WHERE a.id < 30;
SELECT a.id, (SELECT json_agg(x) FROM (SELECT e.id, e.kind FROM event e WHERE e.account_id = a.id ORDER BY e.id LIMIT 2) x) FROM account a WHERE a.id < 30;
SELECT a.id, (SELECT jsonb_object_agg(k, n) FROM (SELECT e.kind AS k, count(*) AS n FROM event e WHERE e.account_id = a.id GROUP BY 1) x) FROM account a WHERE a.id < 30;
SELECT a.id, ARRAY(SELECT e.kind FROM event e WHERE e.account_id = a.id ORDER BY e.at LIMIT 3) FROM account a WHERE a.id < 30;
SELECT a.id FROM account a WHERE a.mrr > (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY b.mrr) FROM account b WHERE b.country = a.country);
SELECT a.id FROM account a WHERE a.id = ANY (SELECT i.account_id FROM invoice i WHERE i.currency = 'EUR' ORDER BY i.total DESC LIMIT 5) OR a.active;
SELECT a.id FROM account a WHERE a.id IN (SELECT account_id FROM (SELECT account_id, count(*) AS n FROM event GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10) t);
SELECT kind, mode() WITHIN GROUP (ORDER BY source), count(*) FROM event GROUP BY kind;
SELECT a.country, (SELECT i.currency FROM invoice i JOIN account b ON b.id = i.account_id WHERE b.country = a.country GROUP BY i.currency ORDER BY sum(i.total) DESC, i.currency LIMIT 1) FROM (SELECT DISTINCT country FROM account) a;
SELECT ip << '10.0.0.0/8'::inet, count(*) FROM account GROUP BY 1;
SELECT DISTINCT ip FROM account ORDER BY ip LIMIT 5;
SELECT * FROM (SELECT id, ip, row_number() OVER (ORDER BY ip, id) AS r FROM account) x WHERE r <= 5;
SELECT sum(int8(id::oid)), id::oid::bigint FROM account WHERE id < 10 GROUP BY 2;
SELECT id FROM event WHERE payload @? '$.items[*] ? (@.sku starts with "S1" && @.qty >= 1)' AND id < 300;
SELECT id FROM event WHERE payload @@ '$.price > 3.5' AND id < 300;
SELECT id, payload #> '{items,0}' AS f, payload -> 'items' -> -1 AS l, jsonb_array_length(payload -> 'items') AS n FROM event WHERE id < 60 AND jsonb_typeof(payload) = 'object';
SELECT e.id, x.* FROM event e, jsonb_to_record(e.payload) AS x(price numeric, ok bool, items jsonb) WHERE jsonb_typeof(e.payload) = 'object' AND e.id < 100;
SELECT e.id, k FROM event e, jsonb_object_keys(e.payload) k WHERE jsonb_typeof(e.payload) = 'object' AND e.id < 50;
SELECT id, jsonb_array_elements(lines) ->> 'd' FROM invoice WHERE id < 20;
SELECT id, generate_series(1, seats % 3), unnest(tags) FROM account WHERE id < 20;
SELECT json_build_object('total', sum(total), 'by', (SELECT jsonb_object_agg(currency, s) FROM (SELECT currency, sum(total) AS s FROM invoice GROUP BY 1) x)) FROM invoice;
SELECT to_json(now()::date) IS NOT NULL, count(*) FROM account WHERE created_at < now() - interval '1 day' AND churned_on < current_date;
SELECT count(*) FROM event WHERE at_tz > now() - interval '30 years' AND at < localtimestamp;
SELECT extract(epoch FROM (now() - created_at)) > 0, count(*) FROM account GROUP BY 1;
SELECT date_trunc('week', created_at)::date AS w, count(*), sum(count(*)) OVER (ORDER BY date_trunc('week', created_at)::date) FROM account GROUP BY 1;
SELECT to_char(created_at, 'YYYY"Q"Q') q, to_char(created_at AT TIME ZONE 'America/Sao_Paulo', 'DD/MM/YY HH24h') x, count(*) FROM account GROUP BY 1, 2;
SELECT to_char(total, 'L999G990D00'), to_char(total, '9.99EEEE'), to_char(id, 'RN'), to_char(-total, '999PR'), to_char(id, '9th') FROM invoice WHERE id < 20;
SELECT to_char(duration, 'HH24:MI:SS'), extract(minute FROM duration), duration / 2, duration * 1.5, date_part('epoch', duration) FROM event WHERE id < 60;
SELECT isfinite(at), at - interval '1 month 3 days', at + '2 weeks'::interval, at::date - date '2023-01-01', date '2023-01-31' + interval '1 month' FROM event WHERE id < 20;
SELECT cast(total AS text), total::int, total::float8, total::money FROM invoice WHERE id < 10;
SELECT id, regexp_matches(name, '([A-Z])\w+', 'g') FROM account WHERE id < 20;
SELECT regexp_count(slug, '\d'), regexp_substr(slug, '\d+'), regexp_instr(slug, '_'), regexp_like(slug, '^acct') FROM account WHERE id < 20;
SELECT id, string_to_array(slug, '-'), split_part(slug, '-', -1), array_to_string(ARRAY[name, slug], '/'), left(slug, -2), btrim(slug, 'act'), quote_ident(name), quote_literal(name), quote_nullable(country) FROM account WHERE id < 20;
SELECT count(*) FILTER (WHERE name SIMILAR TO '%(Acme|Globex)%'), count(*) FILTER (WHERE name ~* 'GMBH'), count(*) FILTER (WHERE name !~ '^\s') FROM account;
SELECT normalize(name), unaccented FROM (SELECT name, translate(name, 'ÜüÄäÖö', 'UuAaOo') AS unaccented FROM account) x;
SELECT soundex FROM (SELECT upper(substr(name, 1, 1)) AS soundex FROM account) x GROUP BY 1;
SELECT encode(sha256(name::bytea), 'hex'), encode(convert_to(name, 'UTF8'), 'base64') FROM account WHERE id < 20;
SELECT name COLLATE "C" < 'Globex', count(*) FROM account GROUP BY 1;
SELECT name FROM account ORDER BY lower(name) COLLATE "C", id LIMIT 10;
SELECT percent_rank() OVER (ORDER BY mrr), first_value(name) OVER (PARTITION BY country ORDER BY mrr DESC NULLS LAST, id), lag(mrr, 2, 0) OVER (ORDER BY id), lead(name) OVER (ORDER BY id), count(*) OVER (PARTITION BY plan), sum(mrr) FILTER (WHERE active) OVER (PARTITION BY country ORDER BY id ROWS 3 PRECEDING EXCLUDE CURRENT ROW) FROM account;
SELECT id, array_agg(kind) OVER (PARTITION BY account_id ORDER BY at, id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM event WHERE id < 200;
SELECT id, string_agg(kind, '>') OVER (PARTITION BY user_id ORDER BY id) FROM event WHERE id < 200;
SELECT id, count(DISTINCT kind) FROM event GROUP BY id HAVING count(DISTINCT kind) > 0 AND id < 5;
SELECT * FROM account NATURAL JOIN (SELECT id, total FROM invoice) i WHERE total > 400;
SELECT * FROM employee e FULL JOIN account a ON a.id = e.id + 200;
SELECT e.name, m.name FROM employee e LEFT JOIN employee m ON m.id = e.manager_id AND m.dept = e.dept AND m.salary > 40000;
SELECT count(*) FROM event e JOIN account a ON e.account_id = a.id AND e.at BETWEEN a.created_at AND a.created_at + interval '200 days';
SELECT a.name, count(*) FROM account a JOIN event e ON e.account_id = a.id AND (e.payload ->> 'price')::numeric > a.mrr / 20 WHERE jsonb_typeof(e.payload) = 'object' GROUP BY a.name;
SELECT i.id FROM invoice i JOIN LATERAL (SELECT e.at FROM event e WHERE e.account_id = i.account_id AND e.at <= i.issued ORDER BY e.at DESC LIMIT 1) last ON true;
SELECT i.id, l.at FROM invoice i LEFT JOIN LATERAL (SELECT e.at FROM event e WHERE e.account_id = i.account_id AND e.at <= i.issued + 300 ORDER BY e.at DESC LIMIT 1) l ON true WHERE i.id < 200;
SELECT currency, sum(total) AS s, CASE WHEN sum(total) > (SELECT avg(s) FROM (SELECT sum(total) AS s FROM invoice GROUP BY currency) x) THEN 'above' ELSE 'below' END FROM invoice GROUP BY currency;
WITH t AS (SELECT account_id, sum(total) AS s FROM invoice GROUP BY 1) SELECT t1.account_id, t1.s, count(t2.account_id) + 1 AS rank FROM t t1 LEFT JOIN t t2 ON t2.s > t1.s GROUP BY 1, 2;
SELECT id, GREATEST(total, 100, tax), LEAST(issued, due, DATE '2023-01-01'), COALESCE(NULLIF(status, 'void'), 'none'), total BETWEEN SYMMETRIC 300 AND 100 FROM invoice;
SELECT bool_and(active), bit_or(seats), string_agg(country, ''), count(*) FROM account WHERE id < 2;
SELECT x FROM (VALUES (1, 'a'), (2, NULL), (NULL, 'c')) v(x, y) JOIN account a ON a.id = v.x WHERE v.y IS NOT NULL;
SELECT a FROM account a WHERE id < 3;
SELECT id, total, total - lag(total) OVER w AS d, sum(total) OVER (w ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM invoice WINDOW w AS (PARTITION BY account_id ORDER BY issued, id);
SELECT date_part('year', age(hired)) > 1, count(*) FROM employee GROUP BY 1;
SELECT dept, round(avg(salary) FILTER (WHERE rating > 2), 2), count(*) FILTER (WHERE hired >= '2018-01-01') FROM employee GROUP BY dept HAVING avg(salary) > 20000 ORDER BY avg(salary) DESC NULLS LAST;
SELECT make_interval(days => seats), make_timestamp(2023, 1, 1, 0, 0, seats % 60), to_date('2023' || lpad((id % 12 + 1)::text, 2, '0'), 'YYYYMM'), to_timestamp('2023-01-0' || id % 9 + 1, 'YYYY-MM-DD') FROM account WHERE id < 20;
SELECT gen_random_uuid() IS NOT NULL, count(*) FROM account;
SELECT array_remove(tags, NULL), array_cat(tags, ARRAY['z']), tags || 'q'::text, array_dims(tags), array_upper(tags, 1), array_ndims(tags), ARRAY(SELECT unnest(tags) ORDER BY 1) FROM account WHERE id < 20;
SELECT id, (SELECT count(*) FROM unnest(tags) t WHERE t LIKE 't%') FROM account;
SELECT id FROM account WHERE 't1' = ALL (tags) OR cardinality(tags) = 0;
SELECT id FROM account WHERE tags IS NULL OR tags = '{}' OR NOT ('x' = ANY (tags));
SELECT tags, count(*) FROM account GROUP BY tags;
SELECT t.tag, array_agg(a.id ORDER BY a.id), jsonb_agg(DISTINCT a.country) FROM account a, unnest(a.tags) t(tag) GROUP BY 1;
SELECT current_user IS NOT NULL, current_database() IS NOT NULL, version() IS NOT NULL, count(*) FROM account;
SELECT sum(score) FROM account WHERE score < 10;
SELECT country, sum(ms) FROM event e JOIN account a ON a.id = e.account_id GROUP BY 1;
SELECT round(score::numeric, 1), round(score), trunc(score), ceil(score), score * 1.1, score / NULLIF(seats, 0) FROM account WHERE score < 100;
SELECT count(*), sum(1), sum(2.5), max('a'), min(DATE '2023-01-01') FROM account WHERE false;
SELECT 1 WHERE EXISTS (SELECT FROM account);
SELECT FROM account WHERE id < 3;
SELECT DISTINCT ON (country, plan) id, country, plan FROM account ORDER BY country, plan DESC, id;
TABLE employee;
SELECT ALL dept FROM employee GROUP BY ALL dept;
SELECT id FROM account OFFSET 235;
SELECT count(*) FROM (SELECT id FROM account LIMIT ALL) x;
SELECT plan::text, enum_range(plan) FROM account WHERE id < 5;
SELECT plan, plan = 'pro', plan IN ('pro', 'basic'), plan::text LIKE 'p%', CASE plan WHEN 'pro' THEN 1 ELSE 0 END, array_position(ARRAY['trial', 'pro']::plan_kind[], plan) FROM account;
SELECT status, json_agg(json_build_object('c', currency, 't', total) ORDER BY total, id) FROM invoice WHERE id < 30 GROUP BY status;
SELECT ROW(id, total)::text FROM invoice WHERE id < 3;
SELECT (jsonb_each_text(props)).* FROM account WHERE id < 10;
SELECT (jsonb_each_text(props)).key, count(*) FROM account GROUP BY 1;
SELECT id, (jsonb_each(props)).value FROM account WHERE id < 10;
-- expect: postgres (as a whole)
SELECT id, jsonb_each(props) FROM account WHERE id < 3;
-- And of other schools.
SELECT a.country, i.currency, sum(i.total) AS s, grouping(a.country) + grouping(i.currency) AS lochierarchy, rank() OVER (PARTITION BY grouping(a.country) + grouping(i.currency), CASE WHEN grouping(i.currency) = 0 THEN a.country END ORDER BY sum(i.total) DESC) AS rank_within_parent FROM account a JOIN invoice i ON i.account_id = a.id GROUP BY ROLLUP (a.country, i.currency);
WITH ssr AS (SELECT account_id, sum(total) AS sales FROM invoice GROUP BY account_id), csr AS (SELECT account_id, sum(amount) AS sales FROM event GROUP BY account_id) SELECT channel, id, sum(sales) FROM (SELECT 'store channel' AS channel, 'store' || account_id AS id, sales FROM ssr UNION ALL SELECT 'catalog channel', 'page' || account_id, sales FROM csr) x GROUP BY ROLLUP (channel, id) ORDER BY channel, id LIMIT 100;
SELECT w.name, count(DISTINCT e.user_id), sum(CASE WHEN e.at::date - a.created_at::date <= 30 THEN 1 ELSE 0 END) AS "30 days", sum(CASE WHEN e.at::date - a.created_at::date > 30 AND e.at::date - a.created_at::date <= 60 THEN 1 ELSE 0 END) AS "31-60" FROM event e, account a, (VALUES ('x', 1), ('y', 2)) w(name, id) WHERE e.account_id = a.id AND w.id = 1 + e.id % 2 GROUP BY w.name;
SELECT substr(name, 1, 20), country, sum(CASE WHEN extract(dow FROM at) = 0 THEN amount END) sun, sum(CASE WHEN extract(dow FROM at) = 1 THEN amount END) mon FROM event JOIN account ON account.id = account_id GROUP BY substr(name, 1, 20), country ORDER BY 1, 2 LIMIT 100;
SELECT avg(total) a1, avg(tax) a2, stddev_samp(seats) / nullif(avg(seats), 0) cov FROM invoice i JOIN account a ON a.id = i.account_id WHERE a.country IN ('DE', 'FR') AND i.issued BETWEEN cast('2022-08-01' AS date) AND (cast('2022-08-01' AS date) + interval '60 days') HAVING count(*) > 1;
SELECT * FROM (SELECT avg(total) b1, count(total) c1, count(DISTINCT total) d1 FROM invoice WHERE total BETWEEN 0 AND 100) b1, (SELECT avg(total) b2, count(total) c2, count(DISTINCT total) d2 FROM invoice WHERE total BETWEEN 101 AND 200) b2;
SELECT country, plan, count(*) AS cnt1, min(seats), max(seats), avg(seats) FROM account c WHERE EXISTS (SELECT * FROM event e WHERE e.account_id = c.id AND e.kind = 'purchase') AND (EXISTS (SELECT * FROM invoice i WHERE i.account_id = c.id AND i.status = 'paid') OR EXISTS (SELECT * FROM invoice i WHERE i.account_id = c.id AND i.status = 'void')) GROUP BY 1, 2;
SELECT CASE WHEN (SELECT count(*) FROM invoice WHERE total BETWEEN 1 AND 20) > 10 THEN (SELECT avg(tax) FROM invoice WHERE total BETWEEN 1 AND 20) ELSE (SELECT avg(total) FROM invoice WHERE total BETWEEN 1 AND 20) END AS bucket1 FROM employee WHERE id = 1;
WITH frequent AS (SELECT substr(kind, 1, 30) AS d, account_id, count(*) cnt FROM event GROUP BY 1, 2 HAVING count(*) > 2), best AS (SELECT account_id, sum(total) AS csales FROM invoice GROUP BY account_id HAVING sum(total) > (50 / 100.0) * (SELECT max(csales) FROM (SELECT account_id, sum(total) csales FROM invoice GROUP BY account_id) m)) SELECT sum(sales) FROM (SELECT total AS sales FROM invoice WHERE account_id IN (SELECT account_id FROM frequent) AND account_id IN (SELECT account_id FROM best) UNION ALL SELECT amount FROM event WHERE account_id IN (SELECT account_id FROM best)) y;
WITH avg_sales AS (SELECT avg(quantity * list_price) average_sales FROM (SELECT seats quantity, mrr list_price FROM account UNION ALL SELECT id, total FROM invoice) x) SELECT currency, sum(total), count(*) FROM invoice WHERE account_id IN (SELECT id FROM account WHERE active INTERSECT SELECT account_id FROM event INTERSECT SELECT account_id FROM invoice) GROUP BY currency HAVING sum(total) > (SELECT average_sales FROM avg_sales);
SELECT count(*) FROM ((SELECT DISTINCT a.name, i.issued FROM invoice i JOIN account a ON a.id = i.account_id) EXCEPT (SELECT DISTINCT a.name, e.at::date FROM event e JOIN account a ON a.id = e.account_id)) cool;
WITH web AS (SELECT account_id, issued, sum(sum(total)) OVER (PARTITION BY account_id ORDER BY issued ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) cume FROM invoice WHERE account_id < 50 GROUP BY 1, 2), store AS (SELECT account_id, at::date AS issued, sum(sum(amount)) OVER (PARTITION BY account_id ORDER BY at::date ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) cume FROM event WHERE account_id < 50 GROUP BY 1, 2) SELECT * FROM (SELECT account_id, issued, web_sales, store_sales, max(web_sales) OVER (PARTITION BY account_id ORDER BY issued ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) wc, max(store_sales) OVER (PARTITION BY account_id ORDER BY issued ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) sc FROM (SELECT coalesce(w.account_id, s.account_id) account_id, coalesce(w.issued, s.issued) issued, w.cume web_sales, s.cume store_sales FROM web w FULL OUTER JOIN store s ON w.account_id = s.account_id AND w.issued = s.issued) x) y WHERE wc > sc;
SELECT 'a' || country || 'b', rpad(country, 5, '*'), upper(country), concat(country, '-', currency), country LIKE 'D_', currency IN ('EUR', 'XX'), country < 'F', max(country), min(currency) FROM account JOIN invoice ON account.id = account_id GROUP BY country, currency;
SELECT e.dept, e.name, e.salary FROM employee e WHERE 3 > (SELECT count(DISTINCT s.salary) FROM employee s WHERE s.dept = e.dept AND s.salary > e.salary);
SELECT e1.name FROM employee e1 WHERE e1.salary = (SELECT max(e2.salary) FROM employee e2 WHERE e2.salary < (SELECT max(e3.salary) FROM employee e3));
SELECT m.name, count(e.id), string_agg(e.name, ', ' ORDER BY e.name), avg(e.salary) FROM employee m JOIN employee e ON e.manager_id = m.id GROUP BY m.id, m.name HAVING count(*) >= 2;
SELECT dept, salary, salary * 100 / sum(salary) OVER (PARTITION BY dept) AS pct, avg(salary) OVER (PARTITION BY dept ORDER BY hired RANGE BETWEEN INTERVAL '1 year' PRECEDING AND CURRENT ROW) FROM employee;
SELECT extract(year FROM hired) AS y, count(*) AS n, sum(count(*)) OVER (ORDER BY extract(year FROM hired)) FROM employee GROUP BY extract(year FROM hired);
SELECT d.dept, coalesce(c.n, 0) FROM (SELECT DISTINCT dept FROM employee) d LEFT JOIN (SELECT dept, count(*) n FROM employee WHERE salary > 50000 GROUP BY dept) c ON c.dept IS NOT DISTINCT FROM d.dept;
SELECT name, salary, CASE WHEN salary > avg(salary) OVER () THEN 'above' WHEN salary IS NULL THEN 'n/a' ELSE 'below' END FROM employee;
SELECT dept, array_agg(name ORDER BY salary DESC NULLS LAST, id) FILTER (WHERE rating > 1), (array_agg(name ORDER BY salary DESC NULLS LAST, id))[1] AS top, (array_agg(salary ORDER BY salary))[1:2] FROM employee GROUP BY dept;
SELECT min(salary) FILTER (WHERE dept = 'eng') AS x, percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) FILTER (WHERE dept = 'eng'), percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY salary) FROM employee;
SELECT date_part('year', age(date '2024-06-30', hired))::int AS years, count(*) FROM employee GROUP BY 1 HAVING count(*) > 1;
SELECT width_bucket(salary, ARRAY[30000, 50000, 70000]::numeric[]), count(*) FROM employee GROUP BY 1;
SELECT name FROM employee WHERE hired = ANY (ARRAY(SELECT max(hired) FROM employee GROUP BY dept));
SELECT start, extract(hour FROM start), start - time '08:00' AS late, count(*) FROM employee GROUP BY 1;
SELECT * FROM (SELECT *, lag(total) OVER (PARTITION BY account_id ORDER BY issued, id) prev FROM invoice) x WHERE prev IS NOT NULL AND abs(total - prev) / nullif(prev, 0) > 5;
SELECT account_id, max(cnt) FROM (SELECT account_id, grp, count(*) cnt FROM (SELECT account_id, issued, issued - (dense_rank() OVER (PARTITION BY account_id ORDER BY issued))::int AS grp FROM invoice) a GROUP BY 1, 2) b GROUP BY 1;
-- expect from 16: postgres (the scale of logarithms and powers of numeric differs between releases)
SELECT id, total, round(total * 1.19, 2) AS gross, total::numeric(6,1), (total * tax)::int, total % 7, -total, @ total, total ^ 2, |/ total, div(total, 3), ceil(total / 10) * 10, greatest(total, 100)::text FROM invoice WHERE id < 60;
-- expect from 16: postgres (the scale of logarithms and powers of numeric differs between releases)
SELECT seats / 7, seats % 7, seats::float8 / 7, seats / 7.0, round(seats / 7.0, 3), seats & 6, seats | 1, seats # 3, seats << 2, ~seats, -seats, power(seats, 2), sqrt(seats), cbrt(seats), exp(seats / 100.0), ln(nullif(seats, 0)), log(nullif(seats, 0)), factorial((seats % 10)::bigint), gcd(seats, 12), lcm(seats, 12), sign(seats - 100), mod(seats, 10) FROM account WHERE id < 60;
SELECT score, score + 1, score * 2, round(score), floor(score), score::int, score::numeric, score::text FROM account WHERE score BETWEEN 1 AND 20;
SELECT sin(score), cos(score), degrees(score), radians(score), atan2(score, 2), pi(), random() < 2 FROM account WHERE score BETWEEN 1 AND 3;
SELECT ms, ms * 2, ms::float8, sum(ms) OVER (ORDER BY id), avg(ms) OVER (PARTITION BY kind ORDER BY id ROWS 2 PRECEDING) FROM event WHERE id < 100;
SELECT to_char(date_trunc('month', issued), 'FMMonth YYYY') AS m, to_char(sum(total), 'FM$999,999,990.00'), to_char(100.0 * sum(total) / sum(sum(total)) OVER (), 'FM990.0%') FROM invoice GROUP BY date_trunc('month', issued);
SELECT to_char(issued, 'DD.MM.YYYY'), to_char(issued, 'YYYY-"W"IW-ID'), to_char(paid_at, 'HH24:MI:SS.MS'), to_char(due - issued, '999'), to_char(total, '0000.00'), to_char(id, 'FM0000') FROM invoice WHERE id < 30;
SELECT id, age(paid_at, issued), paid_at - issued AS d, extract(day FROM paid_at - issued), date_trunc('hour', paid_at), paid_at::time, paid_at + make_interval(hours => 3), justify_days(interval '1 day' * (id % 60)) FROM invoice WHERE id < 30;
SELECT at_tz, at_tz AT TIME ZONE 'UTC', at_tz::date, date_trunc('day', at_tz), extract(timezone FROM at_tz), at AT TIME ZONE 'Europe/Paris', (at AT TIME ZONE 'UTC') AT TIME ZONE 'America/New_York', to_char(at_tz, 'YYYY-MM-DD HH24:MI:SSOF TZ') FROM event WHERE id < 40;
SELECT date '2024-02-29' + interval '1 year' * (id % 3), (date '2024-01-31' + (id || ' months')::interval)::date, tsrange(at, at + interval '1 hour') @> at FROM event WHERE id < 10;
SELECT count(*) FROM invoice WHERE issued <@ daterange('2022-08-01', '2022-09-01', '[]');
SELECT id FROM invoice WHERE (issued, due) OVERLAPS (date '2022-07-01', date '2022-07-05');
SELECT kind, jsonb_object_agg(coalesce(source, '-'), n) FROM (SELECT kind, source, count(*) n FROM event GROUP BY 1, 2) x GROUP BY kind;
SELECT id, payload ->> 'price', (payload ->> 'price')::numeric * 2, payload #>> '{items,0,sku}', payload -> 'items' -> 0 ->> 'qty', payload ? 'price', payload - 'items', payload || '{"z": 1}', jsonb_set(payload, '{price}', '0'), jsonb_typeof(payload -> 'items'), payload @> '{"ok": true}', jsonb_strip_nulls(payload) FROM event WHERE id BETWEEN 2 AND 50 AND jsonb_typeof(payload) = 'object';
SELECT e.id, i.sku, i.qty FROM event e, jsonb_to_recordset(e.payload -> 'items') AS i(sku text, qty int) WHERE jsonb_typeof(e.payload) = 'object' AND e.id < 100;
SELECT sku, sum(qty) FROM (SELECT (jsonb_array_elements(payload -> 'items') ->> 'sku') AS sku, (jsonb_array_elements(payload -> 'items') ->> 'qty')::int AS qty FROM event WHERE jsonb_typeof(payload) = 'object') x GROUP BY sku;
SELECT e.id, (SELECT sum((x ->> 'qty')::int) FROM jsonb_array_elements(e.payload -> 'items') x) AS total_qty FROM event e WHERE jsonb_typeof(e.payload) = 'object' AND e.id < 100;
SELECT a.id FROM account a WHERE EXISTS (SELECT 1 FROM jsonb_array_elements_text(a.props -> 'nested' -> 'a') x WHERE x::int > 230);
SELECT props -> 'nested' ->> 'ok' AS ok, jsonb_agg(id ORDER BY id) FILTER (WHERE id < 20), jsonb_agg(DISTINCT plan) FROM account GROUP BY 1;
SELECT json_build_array(id, name), json_object(ARRAY['a', 'b'], ARRAY[country::text, slug]), to_jsonb(tags), array_to_json(tags), jsonb_pretty(props) FROM account WHERE id < 12;
SELECT id, tags[array_upper(tags, 1)], array_length(array_remove(tags, 'x'), 1), tags @> '{x}', tags || ARRAY['n'], array_append(tags, 'q'), array_prepend('p', tags), array_replace(tags, 'x', 'y'), array_positions(tags, 'x'), string_to_array('a,b', ',') FROM account WHERE id < 40;
SELECT DISTINCT unnest(tags) FROM account ORDER BY 1;
SELECT a.id, b.id FROM account a JOIN account b ON a.tags && b.tags AND a.id < b.id WHERE a.id < 12 AND b.id < 20;
SELECT id, (SELECT array_agg(DISTINCT x ORDER BY x) FROM unnest(tags || ARRAY['k']) x) FROM account WHERE id < 30;
SELECT name, regexp_replace(name, '(\w+) (\w+)', '\2 \1'), regexp_split_to_array(name, '\s+'), name ~ '^[A-Z]', substring(name from '\d+$'), overlay(name placing '##' from 1 for 2), initcap(lower(name)), ltrim(name), position('e' in name), char_length(trim(both from name)) FROM account WHERE name IS NOT NULL AND id % 5 <> 3;
SELECT lower(name), upper(name), initcap(name), name ILIKE '%ÜML%', name ~* 'üml' FROM account WHERE id < 20;
SELECT string_agg(CASE WHEN active THEN 'y' WHEN NOT active THEN 'n' ELSE '?' END, '' ORDER BY id) FROM account;
SELECT bool_or(active), bool_and(active), every(active), count(*) FILTER (WHERE active IS NULL), count(active), sum(active::int) FROM account;
SELECT active IS TRUE, active IS NOT TRUE, active IS UNKNOWN, active = false, NOT active, coalesce(active, false), nullif(active, true), count(*) FROM account GROUP BY active;
SELECT plan::text, count(*), rank() OVER (ORDER BY count(*) DESC, plan) FROM account GROUP BY plan ORDER BY plan;
SELECT * FROM (VALUES (1, 'one'), (2, 'two'), (3, NULL)) v(n, t) LEFT JOIN employee e ON e.id = v.n ORDER BY n;
SELECT coalesce(x.id, y.id), x.id IS NULL, y.id IS NULL FROM (SELECT id FROM account WHERE id < 20) x FULL JOIN (SELECT id FROM account WHERE id BETWEEN 10 AND 30) y USING (id);
SELECT a.id, b.id, c.id FROM account a LEFT JOIN invoice b ON b.account_id = a.id AND b.id < 50 LEFT JOIN event c ON c.account_id = b.account_id AND c.id < 50 AND c.at > b.issued WHERE a.id < 60;
SELECT a.id FROM account a WHERE a.id IN (1, 2, NULL) OR a.id NOT IN (SELECT account_id FROM event WHERE account_id IS NOT NULL) OR a.country = ALL (ARRAY['DE', 'US']);
SELECT a.id, a.country FROM account a WHERE (a.country, a.plan) IN (SELECT b.country, b.plan FROM account b WHERE b.id < 5) OR (a.id, a.seats) = (3, 39);
SELECT account_id, sum(total) FROM invoice GROUP BY account_id HAVING sum(total) > (SELECT avg(s) FROM (SELECT sum(total) AS s FROM invoice GROUP BY account_id) t) ORDER BY 2 DESC, 1 LIMIT 5 OFFSET 2;
SELECT i.* FROM invoice i JOIN (SELECT account_id, max(issued) AS m FROM invoice GROUP BY 1) l ON l.account_id = i.account_id AND l.m = i.issued WHERE i.status <> 'void';
WITH RECURSIVE d AS (SELECT date '2023-01-01' AS day, 1 AS n UNION ALL SELECT (day + interval '1 month')::date, n + 1 FROM d WHERE n < 12) SELECT day, (SELECT count(*) FROM invoice i WHERE i.issued >= d.day AND i.issued < d.day + interval '1 month') FROM d;
WITH RECURSIVE tree AS (SELECT id, parent_id, 0 AS depth, ARRAY[id] AS path, false AS cycle FROM account WHERE parent_id IS NULL AND id < 60 UNION ALL SELECT a.id, a.parent_id, t.depth + 1, t.path || a.id, a.id = ANY (t.path) FROM account a JOIN tree t ON a.parent_id = t.id WHERE NOT t.cycle) SELECT depth, count(*), max(cardinality(path)) FROM tree GROUP BY depth;
WITH RECURSIVE s(n, f) AS (SELECT 1, 1::numeric UNION ALL SELECT n + 1, f * (n + 1) FROM s WHERE n < 15) SELECT * FROM s;
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a), c AS (SELECT x FROM a UNION ALL SELECT x FROM b) SELECT c.x, count(*) FROM c JOIN employee e ON e.id >= c.x GROUP BY c.x;
SELECT kind, total, lag(total) OVER (ORDER BY kind) FROM (SELECT kind, sum(coalesce(amount, 0)) AS total FROM event GROUP BY kind) x;
SELECT id, kind, first_value(kind) OVER w, last_value(kind) OVER w, nth_value(kind, 2) OVER w, ntile(3) OVER (ORDER BY id), row_number() OVER w, dense_rank() OVER (ORDER BY kind), lag(id, 1, 0::bigint) OVER w FROM event WHERE id < 80 WINDOW w AS (PARTITION BY user_id ORDER BY at);
SELECT id, sum(amount) OVER (ORDER BY at GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING), count(*) OVER (ORDER BY at::date RANGE BETWEEN '3 days' PRECEDING AND '1 day' FOLLOWING), sum(amount) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING EXCLUDE TIES) FROM event WHERE id < 120;
SELECT source, kind, count(*), round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY source), 1) AS pct FROM event GROUP BY GROUPING SETS ((source, kind), (source));
SELECT DISTINCT country, first_value(id) OVER (PARTITION BY country ORDER BY mrr DESC NULLS LAST, id) FROM account;
SELECT count(DISTINCT (country, plan)), count(DISTINCT country || plan::text) FROM account;
SELECT sum(DISTINCT seats), avg(DISTINCT seats), count(DISTINCT seats) FILTER (WHERE active), string_agg(DISTINCT country, ',' ORDER BY country DESC) FROM account;
SELECT mode() WITHIN GROUP (ORDER BY country), percentile_cont(0.5) WITHIN GROUP (ORDER BY seats), rank(100) WITHIN GROUP (ORDER BY seats) FROM account;
SELECT id, total FROM invoice WHERE total = (SELECT max(total) FROM invoice) OR total = (SELECT min(total) FROM invoice);
SELECT to_date('20230115', 'YYYYMMDD') - issued AS d, to_timestamp('2023-01-15 10:00', 'YYYY-MM-DD HH24:MI') > paid_at, issued::timestamptz, date(paid_at), now()::date - issued > 0 FROM invoice WHERE id < 20;
SELECT CURRENT_DATE - issued > 0, extract(isoyear FROM issued), extract(century FROM issued), date_part('dow', issued), to_char(issued, 'Dy'), issued BETWEEN '2022-07-01' AND '2022-12-31', issued + 7, issued + time '10:00' FROM invoice WHERE id < 20;
SELECT x.y FROM (SELECT CASE WHEN total > 100 THEN NULL ELSE total END AS y FROM invoice) x WHERE x.y IS NOT NULL ORDER BY x.y DESC LIMIT 3;
SELECT id FROM invoice ORDER BY CASE status WHEN 'open' THEN 1 WHEN 'paid' THEN 2 ELSE 3 END, total DESC, id LIMIT 10;
SELECT id, status FROM invoice ORDER BY status NULLS FIRST, issued DESC, id OFFSET 5 LIMIT 5;
SELECT id, name FROM account ORDER BY length(name) DESC NULLS LAST, name, id LIMIT 5;
SELECT 1 AS one, 'x' AS x, NULL AS n, count(*) FROM invoice GROUP BY one, x, n;
SELECT count(*), sum(total) FROM invoice WHERE status = $$paid$$ AND note LIKE E'PO\\-%' OR note SIMILAR TO '(PO|n)%';
SELECT ip, host(ip), masklen(ip), family(ip), network(ip), ip <<= '10.0.0.0/8', text(ip), set_masklen(ip, 24), broadcast(set_masklen(ip, 24)) FROM account WHERE id < 20;
SELECT ext::text, substr(ext::text, 1, 8), ext = md5('7')::uuid, min(id) FROM account WHERE id < 20 GROUP BY ext;
SELECT encode(decode(md5(name), 'hex'), 'base64'), length(name::bytea), get_byte(name::bytea, 0), sha256(name::bytea) FROM account WHERE name IS NOT NULL AND id < 20;
SELECT a.id, s.n FROM account a LEFT JOIN LATERAL (SELECT count(*) AS n FROM event e WHERE e.account_id = a.id HAVING count(*) > 8) s ON true;
SELECT a.id, s.* FROM account a CROSS JOIN LATERAL (SELECT i.currency, sum(i.total) AS t FROM invoice i WHERE i.account_id = a.id GROUP BY i.currency UNION ALL SELECT 'ALL', sum(i.total) FROM invoice i WHERE i.account_id = a.id) s WHERE a.id < 20;
SELECT a.id, (SELECT sum(x) FROM (VALUES (a.seats), (1), (NULL)) v(x)) FROM account a WHERE a.id < 30;
SELECT a.id, (SELECT max(d) FROM (VALUES (a.churned_on), (a.created_at::date)) v(d)), GREATEST(a.churned_on, a.created_at::date) FROM account a;
SELECT a.id, (SELECT e.kind || ':' || count(*) FROM event e WHERE e.account_id = a.id GROUP BY e.kind ORDER BY count(*) DESC, e.kind LIMIT 1) FROM account a WHERE a.id < 50;
SELECT a.id, (WITH t AS (SELECT total FROM invoice i WHERE i.account_id = a.id) SELECT sum(total) - min(total) FROM t) FROM account a WHERE a.id < 50;
SELECT a.id FROM account a WHERE NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT currency FROM invoice) c WHERE NOT EXISTS (SELECT 1 FROM invoice i WHERE i.account_id = a.id AND i.currency = c.currency));
SELECT id, total, (SELECT count(*) FROM invoice b WHERE b.total > a.total) + 1 AS rank FROM invoice a WHERE id < 50;
SELECT id, (SELECT avg(total) FROM (SELECT total FROM invoice b WHERE b.account_id = a.account_id AND b.issued <= a.issued ORDER BY b.issued DESC, b.id LIMIT 3) x) FROM invoice a WHERE id < 60;
SELECT x.id FROM (SELECT id, ntile(10) OVER (ORDER BY mrr DESC NULLS LAST, id) AS decile FROM account) x WHERE decile = 1;
SELECT id, CASE WHEN seats = 0 THEN NULL ELSE mrr / seats END AS per_seat, mrr / NULLIF(seats, 0), COALESCE(mrr, 0) / GREATEST(seats, 1) FROM account;
-- Values of char(n) of several lengths: those without blanks.
SELECT coalesce(currency, 'unknown') AS c, count(*) FROM invoice GROUP BY 1;
SELECT CASE WHEN currency = 'EUR' THEN currency ELSE 'other' END AS c, sum(total), array_agg(DISTINCT status ORDER BY status) FROM invoice GROUP BY 1 ORDER BY 1;
SELECT max(CASE WHEN currency = 'EUR' THEN currency ELSE 'other' END), array_agg(DISTINCT coalesce(nullif(currency, 'USD'), 'n/a!')) FROM invoice;
SELECT currency FROM invoice UNION SELECT 'total' UNION ALL SELECT NULL;
SELECT c, octet_length(c), c LIKE '%l', c || '|' FROM (SELECT currency AS c FROM invoice UNION SELECT 'total') x;
SELECT coalesce(country, 'unknown'), count(*) OVER () FROM account WHERE id < 8;
-- expect: any
SELECT coalesce(country, 'unknown') AS c, count(*) FROM account GROUP BY 1;
SELECT coalesce(country, 'unknown') = 'U' AS u, count(*) FROM account GROUP BY 1;
