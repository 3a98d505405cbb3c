-- A type that a server may be built without.
-- requires: xml
-- setup
CREATE TABLE docs (id int PRIMARY KEY, x xml, n int);
INSERT INTO docs VALUES (1, '<a/>', 1), (2, NULL, 2);

-- queries
SELECT id, n FROM docs;
-- expect: postgres
SELECT id, x FROM docs;
