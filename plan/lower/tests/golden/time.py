#!/usr/bin/env python3
"""Writes golden answers of Postgres's date and time functions: time.py 'psql -X -h … -p …' [cases per function] [seed] > time.tsv

A line is: pg_proc OID, TimeZone, arguments as type:value, result as type:value or !SQLSTATE, separated by tabs. Dates, times, timestamps, intervals
and doubles stand in the hexadecimal digits of their binary send function; \\N is NULL. The server's DateStyle and IntervalStyle are the default ones.
OID 0 is a cast through text from the argument's type to the result's.
"""
import random
import subprocess
import sys

ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]
DATES = """0001-01-01|0001-12-31 BC|0001-01-01 BC|4714-11-24 BC|0005-02-29 BC|0100-03-01 BC|2000-02-29|1999-12-31|2000-01-01|2024-02-29|2023-03-31|2024-01-31
9999-12-31|10000-01-01|294246-12-31|5874897-12-31|infinity|-infinity|1900-02-28|2100-03-01|2020-12-31|2021-01-03|2018-12-31|2024-12-30|2026-03-08|2026-11-01
1970-01-01|1582-10-15|2001-01-01|1901-01-01|1900-12-31|2011-12-30|2024-07-15|2024-11-30""".replace("\n", "|").split("|")
TIMES = "00:00:00|24:00:00|23:59:59.999999|12:34:56.789012|00:00:00.000001|02:30:00|01:59:59.5|10:05:09.0005".split("|")
STAMPS = """2000-01-01 00:00:00|1999-12-31 23:59:59.999999|1999-12-31 23:59:59.5|2000-02-29 12:34:56.789012|2024-01-31 10:00:00|2024-03-10 02:30:00|2024-03-10 01:59:59.999999
2024-03-10 03:00:00|2024-11-03 01:30:00|2024-11-03 00:59:59|2024-11-03 02:00:00|2024-03-31 02:30:00|2024-03-31 01:00:00|2024-10-27 02:30:00|2024-10-27 01:30:00|2024-10-06 02:15:00
2024-04-07 01:45:00|2024-04-06 15:15:00|2024-10-05 15:45:00|infinity|-infinity|4714-11-24 00:00:00 BC|4714-11-25 23:00:00 BC|0001-12-31 23:59:59 BC|0001-01-01 00:00:00
0044-03-15 12:00:00 BC|9999-12-31 23:59:59.999999|10000-01-01 00:00:00|12345-06-07 08:09:10.111213|294246-12-31 23:59:59.999999|1883-11-18 12:03:58|1900-01-01 00:00:00|1969-12-31 23:59:59.999999
1970-01-01 00:00:00|2038-01-19 03:14:08|2100-07-01 12:00:00|2020-12-31 23:30:00|2021-01-03 23:59:59.9999|2018-12-31 00:00:00|2024-12-30 05:00:00|2001-01-01 00:00:00|1901-02-03 04:05:06.07
2024-03-30 02:30:00|2024-02-29 23:59:59.0005|0100-01-01 01:00:00 BC|1000-12-31 00:00:01|2023-08-31 13:00:00.123|2024-05-05 00:00:00.5""".replace("\n", "|").split("|")
INTERVALS = """0|1 day|-1 day|1 month|-1 month|1 year 2 mons 3 days 04:05:06.789012|-1 year -2 mons +3 days -04:05:06.789012|30 days|1 mon -30 days|24:00:00|-24:00:00|00:00:00.000001
-00:00:00.000001|36:30:00|1 day -25:00:00|-1 mon 31 days 12:00:00|100 years|-4000 years|14 mons 15 days|1 week|15:30:45.5|05:30:00|-05:00:00|90 days|-100000 days 23:59:59.999999
178000000 years|2147483647 days|3 mons 27 days 23:59:59.9999995|2562047:47:16.854775|12 mons 360 days 00:00:01|1 day 01:00:00|-1 day -01:00:00|0.5 mons|1.7 days|-11 mons""".replace("\n", "|").split("|")
INTS = "0 1 -1 2 12 13 28 29 30 31 60 59 24 23 100 365 -365 1999 2000 2024 -44 -4713 10000 294276 5874897 2147483647 -2147483648".split()
FLOATS = "0 1 -1 0.5 1.5 -0.3333333333333333 2.7 3 1e3 0.000001 59.999999 59.9999999 60 12.3456789 1e15 -1e15 1e300 NaN Infinity -Infinity 7 1234567890.123456 -62135596800 9224318015999 253402300799.5 0.1 0.7".split()
UNITS = """microseconds milliseconds second minute hour day week month quarter year decade century millennium isoyear dow isodow doy epoch julian timezone timezone_hour
timezone_minute MONTH Years usec""".split()
NAMES = ["UTC", "America/New_York", "europe/berlin", "Asia/Kolkata", "EST", "PST", "CEST", "Pacific/Apia", "Australia/Lord_Howe", "GMT", "Japan"]
POOLS = {"date": DATES, "time": TIMES, "timestamp": STAMPS, "timestamptz": [s if "inf" in s else s.replace(" BC", "") + "+00" + (" BC" if "BC" in s else "") for s in STAMPS],
         "interval": INTERVALS, "int4": INTS, "float8": FLOATS}
ENCODE = {"date": "encode(date_send({}),'hex')", "time": "encode(time_send({}),'hex')", "timestamp": "encode(timestamp_send({}),'hex')", "text": "{}",
          "timestamptz": "encode(timestamptz_send({}),'hex')", "interval": "encode(interval_send({}),'hex')", "float8": "encode(float8send({}),'hex')",
          "int4": "({})::text", "bool": "({})::text", "numeric": "({})::text"}
SHORT = {"timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz", "time without time zone": "time", "integer": "int4",
         "double precision": "float8", "boolean": "bool"}
TYPMODS = {1961: "0 1 2 3 4 5 6".split(), 1967: "0 1 2 3 4 5 6".split(), 1968: "0 1 2 3 4 5 6".split(),
           # interval typmods: precision, and the fields of each range
           1200: [str((r << 16) | p) for r, p in [(0x7fff, 0), (0x7fff, 3), (4, 0xffff), (2, 0xffff), (6, 0xffff), (8, 0xffff), (1024, 0xffff), (1032, 0xffff), (2048, 0xffff), (3072, 0xffff),
                                                 (3080, 0xffff), (4096, 0xffff), (4096, 2), (7176, 0xffff), (7168, 1), (6144, 0xffff)]]}
PATTERNS = """YYYY-MM-DD|YYYY-MM-DD HH24:MI:SS|DD Mon YYYY|Dy, DD Month YYYY|FMMonth DDth, YYYY|HH12:MI:SS AM|hh:mi pm|YYYYMMDD|IYYY-IW|IYYY-"W"IW-ID|Q|"Q"Q YYYY|WW W D DDD J|MS US|YY Y YYY|CC
DAY Day day DY Dy dy|MONTH Month month MON Mon mon|FMDay, FMDD FMMonth FMYYYY|SSSS SSSSS|Y,YYY|BC AD b.c. A.D.|A.M. a.m. P.M. am|RM rm FMRM|FMHH24:FMMI:FMSS.MS|DDTH Ddth ddTH|HH24MISS|MM/DD/YY|YYYY"year"|"it''s" \\"YY|FF1 FF2 FF3 FF4 FF5 FF6|IYY IY I ID IDDD|FMDDD FMWW FMIW FMJ|yyyy-mm-dd hh24:mi:ss.us|FMYYYY FMYY FMCC|YYYY-MM|Mon-YY|ddd|HH24:MI:SS.US|YYYYTH MMth QTH|TZ|tz|OF|TZH:TZM""".replace("\n", "|").split("|")
READ = [("YYYY-MM-DD", "2024-02-29|2023-02-29|2024-12-31|0001-01-01|2024-1-5|garbage|2024-12-31x| 2024-12-31|20240101"), ("YYYYMMDD", "20240229|20241301|2024"), ("DD/MM/YYYY", "31/12/2024|31/02/2024|1/1/2024"),
        ("YYYY-MM-DD HH24:MI:SS", "2024-03-10 02:30:00|2024-11-03 01:30:00|2024-01-01 24:00:00|2024-01-01 23:59:59|2024-01-01"), ("MM/DD/YYYY", "12/31/2024|13/01/2024"),
        ("YYYY-MM-DD HH24:MI:SS.US", "2024-01-01 00:00:00.123456|2024-01-01 00:00:00.5"), ("YYYY/MM", "2024/02|2024/13"), ("HH24:MI", "10:30")]
INPUT = {"date": "2024-02-29|2023-02-29|0001-01-01|9999-12-31|infinity|-infinity|epoch|today x|2024-1-1|20240101|Jan 5 2024|2024-13-01|10000-01-01|0044-03-15 BC|2024-02-29 10:00:00|",
         "time": "10:00|10:00:00|23:59:59.999999|24:00:00|25:00:00|10:00:60|10:00:00.1234567|1000|10:00 PM",
         "timestamp": "2024-02-29 10:00:00|2024-02-29 10:00|2024-02-29T10:00:00|2024-02-29|2024-02-29 10:00:00.123456|2024-02-30 10:00:00|infinity|-infinity|2024-02-29 24:00:00|2024-02-29 10:00:00+02|2024-02-29 10:00:00.1234565|2024-02-29 10:00:00 BC|",
         "timestamptz": "2024-03-10 02:30:00|2024-11-03 01:30:00|2024-03-10 02:30:00+00|2024-03-10 02:30:00-05|2024-03-10 02:30:00+05:30|2024-03-10T02:30:00Z|2024-03-10|infinity|2024-03-10 02:30:00.5-08|2024-03-10 02:30:00 EST|2024-03-10 02:30:00 UTC",
         "interval": "1 day|1 year 2 mons|01:02:03|P1D|3 days|-5 days|+2 weeks|1 mon -3 days 04:05:06.789|1 day -04:05|1.5 seconds|90 minutes|1.5 days|1 day ago|5|1 day 2 days|1 week 2 days|-0.25 secs|04:05 1 day|1 day 100:00:00|  7   hours  3 min|1 second 00:00:01|12 MONTHS|1day|"}


def sql_literal(value, ty):
    return "NULL::" + ty if value is None else "'%s'::%s" % (value.replace("'", "''"), ty)


def main():
    psql = sys.argv[1].split()
    per_function = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)

    def run(script):
        done = subprocess.run(psql + ["-qAt", "-v", "ON_ERROR_STOP=1"], input=script, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout.split("\n")[:-1]

    oids = [int(line.split("(")[1].split(",")[0]) for line in open(sys.argv[4] if len(sys.argv) > 4 else "plan/src/functions/time.rs") if line.strip().startswith("Row::")]
    catalog = run("select oid, proname, (select string_agg(format_type(t, null), ',' order by o) from unnest(proargtypes) with ordinality a(t, o)), "
                  "format_type(prorettype, null) from pg_proc where oid in (%s) order by oid;" % ",".join(map(str, oids)))
    cases = []
    for line in catalog:
        oid, name, args, result = line.split("|")
        oid, args, result = int(oid), [SHORT.get(a, a) for a in args.split(",")], SHORT.get(result, result)

        def pick(position, ty):
            if oid in TYPMODS and position == 1:
                return rng.choice(TYPMODS[oid])
            if ty == "text":
                if oid in (2049, 1770):
                    return rng.choice(PATTERNS)
                return rng.choice(UNITS) if position == 0 and oid not in (1159, 2069) else rng.choice(NAMES)
            if rng.random() < 0.03:
                return None
            if name == "make_date" or name.startswith("make_t"):
                small = {"int4": [["2024", "-44", "0", "1", "2023"], ["1", "2", "12", "13", "0"], ["1", "29", "31", "0", "30"], ["0", "2", "23", "24", "25"], ["0", "30", "59", "60"]]}
                if ty == "int4" and rng.random() < 0.85:
                    return rng.choice(small["int4"][position + (3 if name == "make_time" else 0)])
                if ty == "float8" and rng.random() < 0.85:
                    return rng.choice(["0", "59.9999999", "12.3456785", "60", "30"])
            return rng.choice(POOLS[ty])

        if oid in (1778, 1780):
            for pattern, inputs in READ:
                for text in inputs.split("|"):
                    cases.append((oid, name, rng.choice(ZONES), [("text", text), ("text", pattern)], result))
            continue
        seen = set()
        for _ in range(per_function * (6 if "text" in args else 1)):
            values = tuple(pick(i, a) for i, a in enumerate(args))
            zone = rng.choice(ZONES)
            if (zone, values) not in seen:
                seen.add((zone, values))
                cases.append((oid, name, zone, list(zip(args, values)), result))
    for ty in ("date", "time", "timestamp", "timestamptz", "interval"):
        for value in POOLS[ty]:
            cases.append((0, None, rng.choice(ZONES), [(ty, value)], "text"))
        for value in INPUT[ty].split("|"):
            cases.append((0, None, rng.choice(ZONES), [("text", value)], ty))
    script = ["set client_min_messages = error; create function pg_temp.try(q text) returns text language plpgsql as $$ declare r text; begin "
              "execute q into r; return coalesce(r, '\\N'); exception when others then return '!' || sqlstate; end $$;"]
    zone_now = None
    for oid, name, zone, args, result in cases:
        if zone != zone_now:
            script.append("set timezone = '%s';" % zone)
            zone_now = zone
        literals = [sql_literal(v, t) for t, v in args]
        call = 'pg_catalog."%s"(%s)' % (name, ", ".join(literals)) if oid else "%s::%s" % (literals[0], result)
        columns = ["select " + ENCODE[t].format(l) for (t, _), l in zip(args, literals)] + ["select " + ENCODE[result].format(call)]
        script.append("select concat_ws(E'\\t', %s);" % ", ".join("pg_temp.try($q$%s$q$)" % c for c in columns))
    for (oid, name, zone, args, result), line in zip(cases, run("\n".join(script))):
        fields = line.split("\t")
        if any(f.startswith("!") for f in fields[:-1]):
            continue
        types = [t for t, _ in args]
        last = fields[-1] if fields[-1].startswith("!") else result + ":" + fields[-1]
        print("\t".join([str(oid), zone] + ["%s:%s" % p for p in zip(types, fields[:-1])] + [last]))


main()
