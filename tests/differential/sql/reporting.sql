-- Reporting: the queries people write for dashboards and month ends, over TPC-H (schema tpch) and a small shop.
-- search_path: shop, tpch
-- setup
DROP SCHEMA IF EXISTS shop CASCADE;
CREATE SCHEMA shop;
CREATE TABLE shop.store (store_id int PRIMARY KEY, name text NOT NULL, city varchar(30), country char(2) NOT NULL, opened date, closed date, manager text);
CREATE TABLE shop.product (sku text PRIMARY KEY, title text NOT NULL, category text, price numeric(10,2) NOT NULL, cost numeric(10,4), weight_kg float8, tags text[], attrs jsonb, discontinued bool NOT NULL DEFAULT false);
CREATE TABLE shop.client (client_id bigint PRIMARY KEY, email text, full_name varchar(60), country char(2), signed_up timestamptz NOT NULL, birth date, vip bool, referrer bigint);
CREATE TABLE shop.basket (basket_id bigint PRIMARY KEY, client_id bigint, store_id int, placed_at timestamp NOT NULL, shipped_at timestamp, status text NOT NULL, coupon varchar(12), shipping numeric(8,2));
CREATE TABLE shop.line (basket_id bigint, pos smallint, sku text NOT NULL, qty int NOT NULL, unit_price numeric(10,2) NOT NULL, discount numeric(4,3), returned bool, PRIMARY KEY (basket_id, pos));
CREATE TABLE shop.visit (visit_id bigint PRIMARY KEY, client_id bigint, at timestamptz NOT NULL, page text, seconds int, device text);
CREATE TABLE shop.target (store_id int, month date, amount numeric(14,2), PRIMARY KEY (store_id, month));
INSERT INTO shop.store SELECT i, 'Store ' || i, (ARRAY['Berlin', 'Paris', 'Wien', 'Zürich', NULL])[1 + i % 5], (ARRAY['DE', 'FR', 'AT', 'CH'])[1 + i % 4],
    date '2015-01-01' + i * 97, CASE WHEN i % 6 = 0 THEN date '2023-06-30' END, CASE WHEN i % 3 > 0 THEN 'Manager ' || i % 4 END FROM generate_series(1, 12) i;
INSERT INTO shop.product SELECT 'SKU-' || lpad(i::text, 4, '0'), initcap((ARRAY['red', 'green', 'blue', 'old', 'new'])[1 + i % 5] || ' ' || (ARRAY['chair', 'table', 'lamp', 'rug'])[1 + i % 4]) || ' ' || i,
    (ARRAY['furniture', 'light', 'textile', NULL])[1 + i % 4], (i * 37 % 500) + 0.99, CASE WHEN i % 7 > 0 THEN ((i * 37 % 500) + 0.99) * 0.6137 END, i * 0.25,
    ARRAY['tag' || i % 3, 'tag' || i % 5], jsonb_build_object('color', (ARRAY['red', 'green', 'blue'])[1 + i % 3], 'size', i % 10), i % 11 = 0 FROM generate_series(1, 80) i;
INSERT INTO shop.client SELECT i, CASE WHEN i % 13 > 0 THEN 'user' || i || '@' || (ARRAY['example.com', 'mail.org', 'firma.de'])[1 + i % 3] END, 'First' || i || ' Last' || i % 40,
    (ARRAY['DE', 'FR', 'AT', 'CH', NULL])[1 + i % 5], timestamptz '2021-01-01 08:00+00' + i * interval '37 hours', CASE WHEN i % 4 > 0 THEN date '1950-01-01' + i * 101 % 18000 END,
    CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, CASE WHEN i > 20 AND i % 2 = 0 THEN i / 3 END FROM generate_series(1, 300) i;
INSERT INTO shop.basket SELECT i, CASE WHEN i % 17 > 0 THEN 1 + i * 7 % 320 END, 1 + i % 12, timestamp '2022-01-01 09:00' + i * interval '13 hours 7 minutes',
    CASE WHEN i % 5 > 0 THEN timestamp '2022-01-01 09:00' + i * interval '13 hours 7 minutes' + (i % 9) * interval '1 day' END,
    (ARRAY['paid', 'shipped', 'cancelled', 'open', 'shipped'])[1 + i % 5], CASE WHEN i % 4 = 0 THEN 'C' || i % 6 END, (i % 5) * 2.45 FROM generate_series(1, 1500) i;
INSERT INTO shop.line SELECT b, p, 'SKU-' || lpad((1 + (b * 3 + p * 11) % 85)::text, 4, '0'), 1 + (b + p) % 4, ((b * 7 + p) % 400) + 0.5, CASE WHEN b % 3 = 0 THEN 0.125 END, CASE WHEN b % 10 > 2 THEN b % 10 = 7 END
    FROM generate_series(1, 1500) b, generate_series(1, 4) p WHERE p <= 1 + b % 4;
INSERT INTO shop.visit SELECT i, CASE WHEN i % 5 > 0 THEN 1 + i % 290 END, timestamptz '2022-01-01 00:00+00' + i * interval '3 hours 11 minutes', '/' || (ARRAY['home', 'cart', 'item', 'help'])[1 + i % 4] || '/' || i % 30, i * 7 % 400, (ARRAY['phone', 'desktop', NULL])[1 + i % 3] FROM generate_series(1, 3000) i;
INSERT INTO shop.target SELECT s, m::date, 1000 + s * 100 FROM generate_series(1, 10) s, generate_series(timestamp '2022-01-01', timestamp '2023-12-01', interval '1 month') m;
-- queries
SELECT status, count(*), sum(shipping) FROM basket GROUP BY status;
-- ordered
SELECT date_trunc('month', placed_at) AS month, count(*) AS baskets, count(DISTINCT client_id) AS clients FROM basket GROUP BY 1 ORDER BY 1;
-- ordered
SELECT s.country, s.name, sum(l.qty * l.unit_price * (1 - coalesce(l.discount, 0))) AS revenue FROM store s JOIN basket b USING (store_id) JOIN line l USING (basket_id) WHERE b.status <> 'cancelled' GROUP BY s.country, s.name ORDER BY revenue DESC, s.name;
-- ordered
SELECT p.category, count(*) AS sold, round(avg(l.unit_price), 2) AS avg_price, sum(l.qty) FILTER (WHERE l.returned) AS returned FROM line l JOIN product p ON p.sku = l.sku GROUP BY p.category ORDER BY p.category NULLS LAST;
SELECT p.sku, p.title FROM product p LEFT JOIN line l ON l.sku = p.sku WHERE l.sku IS NULL;
SELECT l.sku, count(*) FROM line l WHERE NOT EXISTS (SELECT 1 FROM product p WHERE p.sku = l.sku) GROUP BY l.sku;
-- ordered
WITH monthly AS (SELECT b.store_id, date_trunc('month', b.placed_at)::date AS month, sum(l.qty * l.unit_price) AS revenue FROM basket b JOIN line l USING (basket_id) GROUP BY 1, 2) SELECT t.store_id, t.month, t.amount, coalesce(m.revenue, 0) AS revenue, round(100 * coalesce(m.revenue, 0) / t.amount, 1) AS pct FROM target t LEFT JOIN monthly m ON m.store_id = t.store_id AND m.month = t.month ORDER BY t.store_id, t.month;
-- ordered
WITH m AS (SELECT date_trunc('month', placed_at)::date AS month, sum(shipping) AS s FROM basket GROUP BY 1) SELECT month, s, lag(s) OVER (ORDER BY month) AS before, s - lag(s) OVER (ORDER BY month) AS growth, round((s - lag(s) OVER (ORDER BY month)) / nullif(lag(s) OVER (ORDER BY month), 0) * 100, 2) AS pct FROM m ORDER BY month;
-- ordered
SELECT client_id, sum(amount) AS total, rank() OVER (ORDER BY sum(amount) DESC) FROM (SELECT b.client_id, l.qty * l.unit_price AS amount FROM basket b JOIN line l USING (basket_id)) x GROUP BY client_id ORDER BY total DESC, client_id NULLS LAST LIMIT 20;
-- A char(n) beside a side that has only NULL keeps its length.
SELECT country, status, sum(shipping) FROM store JOIN basket USING (store_id) GROUP BY 1, 2 UNION ALL SELECT NULL, status, sum(shipping) FROM basket GROUP BY 2 UNION ALL SELECT NULL, NULL, sum(shipping) FROM basket;
SELECT x.country || '|', count(*) FROM (SELECT NULL AS country, name FROM store UNION SELECT country, name FROM store) x GROUP BY 1;
SELECT country, octet_length(country) FROM (SELECT country FROM client UNION ALL SELECT NULL UNION ALL SELECT country FROM store) x;
SELECT country, vip, count(*), grouping(country, vip) FROM client GROUP BY CUBE (country, vip);
-- ordered
SELECT country, status, count(*), sum(shipping) FROM basket JOIN store USING (store_id) GROUP BY ROLLUP (country, status) ORDER BY country NULLS LAST, status NULLS LAST;
SELECT split_part(email, '@', 2) AS domain, count(*), count(*) FILTER (WHERE vip) AS vips FROM client GROUP BY 1;
SELECT upper(left(full_name, 1)) || lower(substr(full_name, 2)) AS n, length(email) FROM client WHERE email LIKE '%@firma.de' AND full_name ILIKE '%last1%';
SELECT client_id, extract(year from age(timestamp '2023-01-01', birth))::int AS years FROM client WHERE birth IS NOT NULL;
SELECT CASE WHEN birth IS NULL THEN 'unknown' WHEN birth < '1960-01-01' THEN 'old' WHEN birth < '1980-01-01' THEN 'middle' ELSE 'young' END AS cohort, count(*), min(birth), max(birth) FROM client GROUP BY 1;
SELECT s.name, (SELECT count(*) FROM basket b WHERE b.store_id = s.store_id AND b.status = 'open') AS open, (SELECT max(placed_at) FROM basket b WHERE b.store_id = s.store_id) AS latest FROM store s;
SELECT c.client_id, c.full_name FROM client c WHERE NOT EXISTS (SELECT 1 FROM basket b WHERE b.client_id = c.client_id);
SELECT c.client_id FROM client c WHERE c.client_id NOT IN (SELECT client_id FROM basket WHERE client_id IS NOT NULL AND status = 'shipped');
SELECT c.client_id FROM client c WHERE c.client_id NOT IN (SELECT client_id FROM basket);
SELECT c.client_id, r.full_name AS referred_by, count(b.basket_id) FROM client c JOIN client r ON r.client_id = c.referrer LEFT JOIN basket b ON b.client_id = c.client_id GROUP BY c.client_id, r.full_name HAVING count(b.basket_id) > 4;
-- ordered
SELECT DISTINCT ON (client_id) client_id, basket_id, placed_at, status FROM basket WHERE client_id IS NOT NULL ORDER BY client_id, placed_at DESC, basket_id;
-- ordered
SELECT s.name, top.sku, top.sold FROM store s CROSS JOIN LATERAL (SELECT l.sku, sum(l.qty) AS sold FROM basket b JOIN line l USING (basket_id) WHERE b.store_id = s.store_id GROUP BY l.sku ORDER BY sold DESC, l.sku LIMIT 3) top ORDER BY s.name, top.sold DESC, top.sku;
SELECT b.basket_id, b.placed_at, lag(b.placed_at) OVER w AS previous, b.placed_at - lag(b.placed_at) OVER w AS gap FROM basket b WHERE client_id < 30 WINDOW w AS (PARTITION BY client_id ORDER BY placed_at, basket_id);
-- ordered
SELECT day, n, sum(n) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS week, avg(n) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS mean FROM (SELECT placed_at::date AS day, count(*) AS n FROM basket GROUP BY 1) x ORDER BY day;
-- ordered
SELECT sku, revenue, sum(revenue) OVER (ORDER BY revenue DESC, sku) AS running, round(100 * sum(revenue) OVER (ORDER BY revenue DESC, sku) / sum(revenue) OVER (), 2) AS pct FROM (SELECT sku, sum(qty * unit_price) AS revenue FROM line GROUP BY sku) x ORDER BY revenue DESC, sku;
SELECT sku, revenue, ntile(4) OVER (ORDER BY revenue, sku) AS quartile FROM (SELECT sku, sum(qty * unit_price) AS revenue FROM line GROUP BY sku) x;
SELECT status, percentile_disc(0.5) WITHIN GROUP (ORDER BY shipped_at - placed_at), count(shipped_at) FROM basket GROUP BY status;
SELECT status, avg(extract(epoch from shipped_at - placed_at)) / 86400, max(shipped_at - placed_at) FROM basket GROUP BY status;
SELECT count(*) FILTER (WHERE shipped_at IS NULL), count(*) FILTER (WHERE shipped_at < placed_at + interval '3 days'), count(*) FILTER (WHERE shipped_at >= placed_at + interval '3 days') FROM basket;
SELECT to_char(placed_at, 'YYYY-MM') AS month, status, count(*) FROM basket GROUP BY 1, 2;
SELECT to_char(placed_at, 'IYYY-"W"IW') AS week, sum(shipping) FROM basket WHERE placed_at >= '2022-12-01' GROUP BY 1;
SELECT extract(isodow from placed_at) AS dow, extract(hour from placed_at) AS hour, count(*) FROM basket GROUP BY 1, 2;
SELECT coupon, count(*), sum(l.qty * l.unit_price) AS gross, sum(round(l.qty * l.unit_price * coalesce(l.discount, 0), 2)) AS given FROM basket JOIN line l USING (basket_id) WHERE coupon IS NOT NULL GROUP BY coupon HAVING sum(l.qty * l.unit_price) > 1000;
SELECT p.category, string_agg(DISTINCT left(p.title, 3), ', ' ORDER BY left(p.title, 3)) FROM product p GROUP BY p.category;
SELECT category, array_agg(sku ORDER BY price DESC, sku) FROM product GROUP BY category;
SELECT sku, price, cost, price - cost AS margin, round((price - cost) / price, 4) AS rate FROM product WHERE cost IS NOT NULL AND (price - cost) / price > 0.3;
SELECT sku, rank() OVER (PARTITION BY category ORDER BY price DESC) AS r, price - avg(price) OVER (PARTITION BY category) AS above FROM product;
SELECT * FROM (SELECT p.*, row_number() OVER (PARTITION BY category ORDER BY price DESC, sku) AS rn FROM product p) x WHERE rn <= 2;
SELECT device, count(*), sum(seconds), avg(seconds), min(at), max(at) FROM visit GROUP BY device;
SELECT split_part(page, '/', 2) AS section, count(*), count(DISTINCT client_id), max(seconds) FROM visit WHERE page ~ '^/(home|cart)/[0-9]+$' GROUP BY 1;
SELECT page, count(*) FROM visit WHERE page LIKE '/item/%' AND seconds BETWEEN 10 AND 200 GROUP BY page HAVING count(*) >= 3;
SELECT client_id, count(*) AS visits, sum(CASE WHEN page LIKE '/cart%' THEN 1 ELSE 0 END) AS carts FROM visit WHERE client_id IS NOT NULL GROUP BY client_id HAVING sum(CASE WHEN page LIKE '/cart%' THEN 1 ELSE 0 END) > 2;
WITH first AS (SELECT client_id, min(placed_at) AS f FROM basket GROUP BY client_id), later AS (SELECT b.client_id, date_trunc('month', f) AS cohort, (extract(year from b.placed_at) - extract(year from f)) * 12 + extract(month from b.placed_at) - extract(month from f) AS age FROM basket b JOIN first USING (client_id)) SELECT cohort, age, count(DISTINCT client_id) FROM later GROUP BY cohort, age;
WITH gaps AS (SELECT client_id, at, at - lag(at) OVER (PARTITION BY client_id ORDER BY at) > interval '20 days' AS new FROM visit WHERE client_id IS NOT NULL), sessions AS (SELECT client_id, sum(CASE WHEN coalesce(new, true) THEN 1 ELSE 0 END) OVER (PARTITION BY client_id ORDER BY at) AS nr FROM gaps) SELECT client_id, max(nr) FROM sessions GROUP BY client_id;
WITH big AS (SELECT client_id, sum(qty * unit_price) AS total FROM basket JOIN line USING (basket_id) GROUP BY client_id HAVING sum(qty * unit_price) > 2000), small AS (SELECT client_id FROM client WHERE client_id NOT IN (SELECT client_id FROM big WHERE client_id IS NOT NULL)) SELECT (SELECT count(*) FROM big), (SELECT count(*) FROM small), (SELECT avg(total) FROM big);
SELECT 'client' AS kind, count(*) FROM client UNION ALL SELECT 'basket', count(*) FROM basket UNION ALL SELECT 'line', count(*) FROM line;
SELECT country FROM client INTERSECT SELECT country FROM store;
SELECT client_id FROM client EXCEPT SELECT client_id FROM basket;
-- ordered
SELECT client_id FROM basket WHERE status = 'paid' INTERSECT SELECT client_id FROM basket WHERE status = 'cancelled' ORDER BY 1 LIMIT 10;
SELECT s.store_id, m.month, coalesce(sum(b.shipping), 0) FROM store s CROSS JOIN (SELECT DISTINCT month FROM target) m LEFT JOIN basket b ON b.store_id = s.store_id AND b.placed_at >= m.month AND b.placed_at < m.month + interval '1 month' GROUP BY s.store_id, m.month;
SELECT a.sku, b.sku, count(*) FROM line a JOIN line b ON a.basket_id = b.basket_id AND a.sku < b.sku GROUP BY a.sku, b.sku HAVING count(*) > 8;
SELECT b.basket_id FROM basket b WHERE b.shipping > (SELECT avg(x.shipping) * 1.5 FROM basket x WHERE x.store_id = b.store_id);
SELECT b.basket_id, sum(l.qty * l.unit_price) FROM basket b JOIN line l USING (basket_id) GROUP BY b.basket_id HAVING sum(l.qty * l.unit_price) > ALL (SELECT sum(qty * unit_price) * 0.9 FROM line WHERE basket_id < 50 GROUP BY basket_id);
SELECT s.name, b.n, l.n FROM store s LEFT JOIN (SELECT store_id, count(*) AS n FROM basket GROUP BY store_id) b USING (store_id) FULL JOIN (SELECT store_id, count(*) AS n FROM target GROUP BY store_id) l USING (store_id);
SELECT coalesce(city, 'unknown') || ' (' || country || ')' AS place, count(*), bool_or(closed IS NOT NULL), bool_and(opened > '2015-06-01') FROM store GROUP BY 1;
SELECT name, opened, coalesce(closed, date '2024-01-01') - opened AS days, (date '2024-01-01' - opened) / 365 AS years FROM store WHERE closed IS NULL OR closed > opened + 1000;
SELECT store_id, month, amount, sum(amount) OVER (PARTITION BY store_id, extract(year from month) ORDER BY month) AS ytd FROM target;
SELECT extract(year from month) AS y, extract(quarter from month) AS q, sum(amount) FROM target GROUP BY GROUPING SETS ((1, 2), (1), ());
SELECT sum(CASE WHEN country = 'DE' THEN 1 ELSE 0 END) AS de, sum(CASE WHEN country = 'FR' THEN 1 ELSE 0 END) AS fr, sum(CASE WHEN country IS NULL THEN 1 ELSE 0 END) AS none, round(100.0 * count(vip) / count(*), 1) AS pct FROM client;
SELECT client_id, regexp_replace(email, '@.*$', '') AS local, replace(full_name, 'Last', 'L.') AS short, position('@' in email) AS at FROM client WHERE email IS NOT NULL;
SELECT lpad(client_id::text, 6, '0') AS code, coalesce(country, '--') AS c, concat_ws(' / ', full_name, email) AS label FROM client;
SELECT date_trunc('quarter', signed_up AT TIME ZONE 'UTC') AS q, count(*), count(referrer) FROM client GROUP BY 1;
SELECT client_id, signed_up FROM client WHERE signed_up >= timestamptz '2022-01-01 00:00+00' AND signed_up < timestamptz '2022-02-01 00:00+00';
SELECT status, min(placed_at), max(shipped_at), count(*) FROM basket WHERE placed_at >= date '2022-06-01' - interval '30 days' AND placed_at < date '2022-06-01' GROUP BY status;
SELECT greatest(b.placed_at, b.shipped_at) AS last, nullif(status, 'open') AS closed FROM basket b WHERE basket_id < 60;
-- ordered
SELECT basket_id, placed_at FROM basket ORDER BY shipped_at DESC NULLS LAST, basket_id LIMIT 15 OFFSET 5;
-- ordered
SELECT client_id, count(*) AS n FROM basket GROUP BY client_id ORDER BY n DESC, client_id NULLS FIRST FETCH FIRST 7 ROWS ONLY;
SELECT x.country, x.total, x.total / sum(x.total) OVER () AS share FROM (SELECT s.country, sum(l.qty * l.unit_price) AS total FROM store s JOIN basket b USING (store_id) JOIN line l USING (basket_id) GROUP BY s.country) x;
SELECT stddev(shipping), variance(qty), count(*) FROM basket JOIN line USING (basket_id) WHERE status IN ('paid', 'shipped');
-- expect: any
SELECT corr(qty, unit_price::float8), regr_slope(qty, unit_price::float8) FROM line;
-- expect: any
SELECT attrs ->> 'color' AS color, count(*), sum(price) FROM product GROUP BY 1;
-- expect: any
SELECT t, count(*) FROM product, unnest(tags) AS t GROUP BY t;
-- expect: any
SELECT sku FROM product WHERE 'tag1' = ANY (tags) AND attrs @> '{"size": 3}';
-- expect: any
SELECT d::date, count(b.basket_id) FROM generate_series(timestamp '2022-01-01', timestamp '2022-01-31', interval '1 day') d LEFT JOIN basket b ON b.placed_at::date = d::date GROUP BY 1;
-- ordered
SELECT n_name, count(*) AS customers, sum(c_acctbal) AS balance, avg(c_acctbal) AS mean FROM customer JOIN nation ON n_nationkey = c_nationkey GROUP BY n_name ORDER BY balance DESC, n_name;
-- ordered
SELECT r_name, n_name, sum(o_totalprice) FROM region JOIN nation ON n_regionkey = r_regionkey JOIN customer ON c_nationkey = n_nationkey JOIN orders ON o_custkey = c_custkey GROUP BY ROLLUP (r_name, n_name) ORDER BY r_name NULLS LAST, n_name NULLS LAST;
SELECT extract(year from o_orderdate) AS y, o_orderpriority, count(*), sum(o_totalprice) FROM orders GROUP BY 1, 2;
SELECT l_shipmode, l_returnflag, count(*), sum(l_quantity), min(l_shipdate), max(l_receiptdate - l_shipdate) FROM lineitem GROUP BY 1, 2;
-- ordered
SELECT c_custkey, c_name, sum(o_totalprice) AS spent FROM customer JOIN orders ON o_custkey = c_custkey WHERE o_orderdate BETWEEN '1995-01-01' AND '1995-12-31' GROUP BY c_custkey ORDER BY spent DESC, c_custkey LIMIT 10;
-- ordered
SELECT p_brand, p_type, sum(l_quantity) AS q, rank() OVER (PARTITION BY p_brand ORDER BY sum(l_quantity) DESC) AS r FROM part JOIN lineitem ON l_partkey = p_partkey WHERE p_size < 10 GROUP BY p_brand, p_type ORDER BY p_brand, r, p_type;
SELECT s_suppkey, s_name, (SELECT count(*) FROM lineitem WHERE l_suppkey = s_suppkey AND l_returnflag = 'R') AS returned FROM supplier;
SELECT o_orderkey, o_totalprice, (SELECT sum(l_extendedprice * (1 + l_tax) * (1 - l_discount)) FROM lineitem WHERE l_orderkey = o_orderkey) AS computed FROM orders WHERE o_orderkey < 200;
SELECT c_mktsegment, count(*) FROM customer c WHERE NOT EXISTS (SELECT 1 FROM orders WHERE o_custkey = c.c_custkey) GROUP BY c_mktsegment;
SELECT c_custkey FROM customer WHERE c_acctbal > (SELECT avg(c_acctbal) FROM customer WHERE c_acctbal > 0) AND substr(c_phone, 1, 2) IN ('13', '31', '23');
WITH o AS (SELECT date_trunc('month', o_orderdate)::date AS m, sum(o_totalprice) AS t FROM orders GROUP BY 1) SELECT m, t, t - lag(t, 12) OVER (ORDER BY m) AS yoy, avg(t) OVER (ORDER BY m ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM o;
SELECT l_orderkey, count(*), sum(l_extendedprice) FROM lineitem GROUP BY l_orderkey HAVING count(*) = 7 AND sum(l_quantity) > 200;
SELECT o_orderstatus, count(DISTINCT o_custkey), count(DISTINCT o_clerk), avg(o_totalprice) FROM orders GROUP BY o_orderstatus;
SELECT DISTINCT l_shipmode, l_shipinstruct FROM lineitem;
SELECT l_linestatus, sum(CASE WHEN l_discount > 0.05 THEN l_extendedprice * l_discount ELSE 0 END), sum(l_extendedprice) FILTER (WHERE l_tax = 0) FROM lineitem GROUP BY l_linestatus;
-- ordered
SELECT o_orderkey, o_orderdate, o_totalprice FROM orders WHERE o_comment LIKE '%special%requests%' ORDER BY o_totalprice DESC, o_orderkey LIMIT 20;
-- ordered
SELECT ps_partkey, ps_suppkey, ps_supplycost FROM partsupp ps WHERE ps_supplycost = (SELECT min(ps_supplycost) FROM partsupp WHERE ps_partkey = ps.ps_partkey) ORDER BY 1, 2 LIMIT 50;
-- ordered
SELECT n_name, x.s_name, x.s_acctbal FROM nation CROSS JOIN LATERAL (SELECT s_name, s_acctbal FROM supplier WHERE s_nationkey = n_nationkey ORDER BY s_acctbal DESC, s_suppkey LIMIT 2) x ORDER BY n_name, x.s_acctbal DESC, x.s_name;
SELECT count(*) FROM orders a JOIN orders b ON a.o_custkey = b.o_custkey AND a.o_orderdate < b.o_orderdate AND b.o_orderdate < a.o_orderdate + 30;
SELECT o_orderpriority, sum(o_totalprice), grouping(o_orderpriority), grouping(o_orderstatus), o_orderstatus FROM orders GROUP BY GROUPING SETS ((o_orderpriority, o_orderstatus), (o_orderstatus));
SELECT c_custkey, o_orderkey, o_totalprice, first_value(o_orderkey) OVER w, last_value(o_totalprice) OVER w, nth_value(o_orderdate, 2) OVER w FROM customer JOIN orders ON o_custkey = c_custkey WHERE c_custkey < 40 WINDOW w AS (PARTITION BY c_custkey ORDER BY o_orderdate, o_orderkey);
SELECT l_suppkey, avg(l_receiptdate - l_commitdate) AS late, count(*) FILTER (WHERE l_receiptdate > l_commitdate) AS n FROM lineitem GROUP BY l_suppkey HAVING avg(l_receiptdate - l_commitdate) > 0;
SELECT trim(p_container) AS c, p_size / 10 * 10 AS bucket, count(*), round(avg(p_retailprice), 2) FROM part GROUP BY 1, 2;
SELECT coalesce(c.c_name, 'nobody') AS who, o.o_orderkey FROM orders o FULL JOIN customer c ON c.c_custkey = o.o_custkey AND c.c_nationkey = 5 WHERE o.o_orderkey < 300 OR o.o_orderkey IS NULL;
SELECT b.status, o.o_orderstatus, count(*) FROM basket b JOIN orders o ON o.o_custkey = b.client_id GROUP BY 1, 2;
SELECT 100.0 * sum(CASE WHEN l_shipmode = 'AIR' THEN l_extendedprice END) / sum(l_extendedprice) FROM lineitem;
SELECT count(*), min(l_comment), max(l_comment) FROM lineitem WHERE l_comment ~ 'furious(ly)?' AND l_comment NOT LIKE '%ideas%';
SELECT t.yr, t.n, t.n - prev.n FROM (SELECT extract(year from o_orderdate)::int AS yr, count(*) AS n FROM orders GROUP BY 1) t LEFT JOIN (SELECT extract(year from o_orderdate)::int AS yr, count(*) AS n FROM orders GROUP BY 1) prev ON prev.yr = t.yr - 1;
