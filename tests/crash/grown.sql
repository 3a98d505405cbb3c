\set id random(1, 500)
-- Columns are added to this table meanwhile; the long text is stored out of line, and mostly unchanged.
INSERT INTO grown (id, v, filler) VALUES (:id, :id, repeat('g', :id * 10)) ON CONFLICT (id) DO UPDATE SET v = grown.v + 1;
BEGIN;
UPDATE grown SET v = v + 1 WHERE id BETWEEN :id AND :id + 3;
DELETE FROM grown WHERE id = :id + 7;
END;
