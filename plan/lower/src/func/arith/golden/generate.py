#!/usr/bin/env python3
"""Writes the golden tables of arithmetic and aggregates from a running Postgres 15.

usage: generate.py PSQL_COMMAND ROWS_RS AGG_RS OUT_DIR [CASES_PER_FUNCTION] [SEED]

A line of scalar.txt: function OID or `>type` for a cast through text, argument types (separated by `;`), arguments, result, separated by tabs.
`=type` is an argument given as a constant. An error is `!SQLSTATE message`. A line of aggregate.txt: OID, type, D for DISTINCT or
W for a frame of three rows (results of all rows, separated by `|`), values, result.
"""
import itertools, random, re, subprocess, sys

psql, rows_rs, agg_rs, out = sys.argv[1:5]
per_function = int(sys.argv[5]) if len(sys.argv) > 5 else 14
rng = random.Random(int(sys.argv[6]) if len(sys.argv) > 6 else 15)

SETUP = """
set client_min_messages = error;
create or replace function pg_temp.try(q text) returns text language plpgsql as $$
declare r text; s text; m text;
begin
  execute 'select (' || q || ')::text' into r;
  return coalesce(r, E'\\\\N');
exception when others then
  get stacked diagnostics s = returned_sqlstate, m = message_text;
  return '!' || s || ' ' || replace(m, E'\\n', ' ');
end $$;
"""

def query(sql):
    p = subprocess.run(psql.split() + ["-X", "-q", "-At", "-F", "\t"], input=SETUP + sql, capture_output=True, text=True, check=True)
    if p.stderr:
        sys.exit(p.stderr)
    return [l.split("\t") for l in p.stdout.splitlines()]

def evaluate(exprs):
    results = []
    for i in range(0, len(exprs), 4000):
        sql = "\n".join("select pg_temp.try(%s);" % ("$q$" + e + "$q$") for e in exprs[i:i + 4000])
        results += ["\t".join(r) for r in query(sql)]
    assert len(results) == len(exprs), (len(results), len(exprs))
    return results

INTS = {"int2": 15, "int4": 31, "int8": 63}
def ints(bits):
    top = 1 << bits
    return [-top, 1 - top, top - 1, top - 2, -1, 0, 1, 2, 3, 7, 100, -50, 12345, top // 3] + [rng.randrange(-top, top) >> rng.randrange(bits) for _ in range(6)]
FLOATS = ["0", "-0", "1", "-1", "0.1", "0.5", "1.5", "2.5", "-0.5", "-2.5", "NaN", "Infinity", "-Infinity", "123456789.125", "1e-5", "0.00012345", "32767.5", "-32768.5",
          "2147483647.5", "2147483648", "9.2e18", "1e15", "1e20", "0.7", "3", "1000000", "999999.5", "12345678"]
FLOAT8 = FLOATS + ["1e308", "-1.7e308", "1e-308", "5e-324", "1e-160", "1e200", "9007199254740993", "123456789012345.6", "1e22", "1e23"]
FLOAT4 = FLOATS + ["3e38", "1e-45", "1.1754944e-38", "16777217", "1e-20"]
NUMERICS = ["0", "0.00", "1", "-1", "0.5", "-0.5", "1.5", "2.5", "-2.5", "0.005", "-0.005", "123.456", "99999999999999999999999999999999999999", "0.0000000000000001", "10000000000",
            "3", "7", "10000", "9999", "0.0001", "12345678901234567890.123456789", "-0.05", "9999.9999", "1.10", "100.00", "0.99995", "-7.77", "32767.5", "2147483647.4999", "9223372036854775807.5"]
def money():
    return "%s%d.%02d" % (rng.choice(["", "-"]), rng.choice([0, rng.randrange(10), rng.randrange(10**4), rng.randrange(10**13)]), rng.randrange(100))
def number():
    d = rng.randrange(0, 19); w = rng.randrange(0, 20)
    digits = str(rng.randrange(10**w)) if w else "0"
    frac = "".join(rng.choice("0123456789") for _ in range(d))
    return rng.choice(["", "-"]) + digits + ("." + frac if frac else "")
TEXTS = {
    "int": ["0", " 42 ", "-7", "+5", "", "abc", "1.5", "32768", "-32768", "2147483648", "9223372036854775808", "-9223372036854775808", "12 3", "\t9", "--1", "1e3", "007"],
    "float": ["0", "-0", " 1.5 ", "1e10", "-1E-5", ".5", "5.", "NaN", "nan", "-nan", "inf", "-Infinity", "+infinity", "1e400", "1e-400", "1e39", "", "x", "1.2.3", "1e", "4.9e-324", "0.1", "16777217"],
    "numeric": ["0", " 1.50 ", "-0.00", "1e10", "1.5e-3", ".5", "5.", "1e5", "12345678901234567890.5", "", "x", "1.2.3", "1e", "+3.14", "0e5", "1.500e1"],
    "bool": ["t", "TRUE", "tr", " yes ", "y", "on", "1", "f", "false", "n", "no", "off", "of", "0", "o", "", "2", "truee"],
}
def values(ty):
    if ty in INTS: return [str(v) for v in ints(INTS[ty])]
    if ty == "float8": return FLOAT8 + [repr(rng.uniform(-1, 1) * 10**rng.randrange(-30, 30)) for _ in range(8)]
    if ty == "float4": return FLOAT4 + ["%.7g" % (rng.uniform(-1, 1) * 10**rng.randrange(-20, 20)) for _ in range(8)]
    if ty == "bool": return ["t", "f"]
    if ty == "numeric": return NUMERICS + [number() for _ in range(12)]
    if ty == "numeric(15,2)": return ["0.00", "1.00", "-1.00", "0.05", "9999999999999.99", "100.10", "0.01"] + [money() for _ in range(12)]
    if ty == "numeric(38,10)": return ["9999999999999999999999999999.9999999999", "0.0000000001", "1.5000000000", "-2.5000000000"] + ["%.10f" % rng.uniform(-1e5, 1e5) for _ in range(6)]
    if ty == "numeric(50,5)": return ["12345678901234567890123456789012345678901234.12345", "0.00001", "-3.50000"] + ["%.5f" % rng.uniform(-1e5, 1e5) for _ in range(6)]
    if ty == "numeric(5,0)": return ["0", "1", "-3", "99999", "7", "10000"]
    raise KeyError(ty)
FORMS = ["numeric", "numeric(15,2)", "numeric(38,10)", "numeric(50,5)", "numeric(5,0)"]
ALIAS = {"boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4", "double precision": "float8", "numeric": "numeric", "text": "text"}

def literal(v, ty):
    return "%s '%s'" % (ty.lstrip("="), v.replace("'", "''")) if "(" not in ty else "'%s'::%s" % (v, ty.lstrip("="))

def scalar():
    oids = re.findall(r"Row::scalar\((\d+),", open(rows_rs).read())
    functions = query("select oid, proname, array_to_string(array(select format_type(t, null) from unnest(proargtypes) t), ',') from pg_proc where oid in (%s) order by oid;" % ",".join(oids))
    cases = []
    for oid, name, types in functions:
        types = [ALIAS[t] for t in types.split(",")] if types else []
        if "float4" in types or "float8" in types:
            if name in ("sin", "cos", "tan", "cot"): pass
        if name == "numeric" and types == ["numeric", "int4"]:
            for v, (p, s) in itertools.product(values("numeric"), [(5, 2), (38, 10), (3, 0), (50, 3), (3, -2), (2, 4), (10, 10), (4, 5)]):
                cases.append((oid, name, [rng.choice(FORMS[:1]), "=int4"], [v, str(((p << 16) | (s & 0x7ff)) + 4)]))
            for v in values("numeric(15,2)"):
                cases.append((oid, name, ["numeric(15,2)", "=int4"], [v, str(((12 << 16) | 1) + 4)]))
            continue
        variants = [types]
        if "numeric" in types:
            variants = [list(v) for v in itertools.product(*[FORMS if t == "numeric" else [t] for t in types])]
        if name in ("round", "trunc") and types == ["numeric", "int4"]:
            variants += [[v[0], "=int4"] for v in variants]
        pool = []
        for v in variants:
            lists = [values(t.lstrip("=")) for t in v]
            if name in ("round", "trunc") and len(v) == 2:
                lists[1] = ["0", "1", "2", "-1", "-3", "5", "20", "-40"]
            if oid in ("1896", "1897", "1902", "1903", "1908", "1909"):
                lists[1] = ["0", "1", "5", "15", "16", "31", "32", "33", "63", "64", "-1"]
            pool += [(oid, name, v, list(a)) for a in itertools.product(*lists)]
        want = per_function * (3 if "numeric" in types else 1)
        cases += rng.sample(pool, min(want, len(pool)))
    exprs = ["pg_catalog.%s(%s)" % (name, ", ".join(literal(a, t) for a, t in zip(args, types))) for _, name, types, args in cases]
    lines = ["\t".join([oid, ";".join(types), *args, r]) for (oid, _, types, args), r in zip(cases, evaluate(exprs))]
    vias = []
    for ty in ["int2", "int4", "int8", "float4", "float8", "numeric", "numeric(15,2)", "bool"]:
        vias += [(">text", ty, v) for v in values(ty)]
    for kind, targets in [("int", INTS), ("float", ["float4", "float8"]), ("numeric", ["numeric"]), ("bool", ["bool"])]:
        vias += [(">" + t, "text", v) for t in targets for v in TEXTS[kind]]
    def cast(to, ty, v):
        # The output function, not the cast function, of a boolean.
        return "concat(%s)" % literal(v, ty) if to == ">text" else "('%s'::text)::%s" % (v, to[1:])
    lines += ["\t".join([to, ty, v, r]) for (to, ty, v), r in zip(vias, evaluate([cast(*v) for v in vias]))]
    return lines

def aggregate():
    # Relaxed rows promise no exact answer.
    rows = re.findall(r'Row::aggregate\((\d+), "[^"]*"\)([^,]*),', open(agg_rs).read().split("// other")[0])
    oids = [o for o, conditions in rows if "relaxed" not in conditions]
    functions = query("select oid, proname, array_to_string(array(select format_type(t, null) from unnest(proargtypes) t), ',') from pg_proc where oid in (%s) order by oid;" % ",".join(oids))
    cases = []
    for oid, name, types in functions:
        if types not in ALIAS: continue
        base = ALIAS[types]
        for ty in (FORMS[:4] if base == "numeric" else [base]):
            for n in range(per_function // 2):
                if base == "numeric":
                    vs = [rng.choice(values(ty)) for _ in range(rng.randrange(0, 8))]
                    vs = [v for v in vs if len(v) < 30]
                elif base.startswith("float"):
                    vs = [rng.choice(values(ty)) for _ in range(rng.randrange(0, 6))]
                else:
                    vs = [str(rng.choice([rng.randrange(-100, 100), int(rng.choice(values(ty)))])) for _ in range(rng.randrange(0, 8))]
                if rng.random() < 0.4: vs.insert(rng.randrange(len(vs) + 1), "\\N")
                mode = ""
                if n % 4 == 1 and name in ("count", "sum", "avg", "min", "max"): mode = "D"
                if n % 4 == 2 and not name.startswith(("bit_", "min", "max")): mode = "W"
                cases.append((oid, name, ty, mode, vs))
    exprs = []
    for oid, name, ty, mode, vs in cases:
        rows = ", ".join("(%d, %s)" % (i, "null" if v == "\\N" else literal(v, ty)) for i, v in enumerate(vs)) or "(0, null)"
        source = "(select i, v::%s from (values %s) t(i, v)) t(i, v)" % (ty, rows)
        if mode == "W":
            exprs.append("select string_agg(coalesce(r, '\\N'), '|' order by i) from (select i, (%s(v) over (order by i rows between 2 preceding and current row))::text r from %s) x" % (name, source))
        else:
            exprs.append("select %s(%s v) from %s" % (name, "distinct" if mode == "D" else "", source))
    return ["\t".join([oid, ty, mode, " ".join(vs), r]) for (oid, _, ty, mode, vs), r in zip(cases, evaluate(exprs))]

open(out + "/scalar.txt", "w").write("\n".join(scalar()) + "\n")
open(out + "/aggregate.txt", "w").write("\n".join(aggregate()) + "\n")
