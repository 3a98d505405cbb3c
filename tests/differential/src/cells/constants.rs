//! Values at the edges of their types.

use weir_fdw::dialect::mysql::days;
use weir_plan::ir::Scalar;
use weir_plan::types::{PgType, oid};

/// A constant of a type: as SQL, and as the plan has it.
pub struct Constant(pub String, pub Scalar);

fn date(y: i64, m: u32, d: u32) -> i32 {
    i32::try_from(days(y, m, d)).unwrap_or_default()
}

fn moment(y: i64, m: u32, d: u32, micros: i64) -> i64 {
    days(y, m, d) * 86_400_000_000 + micros
}

/// Values at the edges of a type.
pub fn constants(ty: PgType) -> Vec<Constant> {
    let of = |name: &str, list: Vec<(String, Scalar)>| {
        list.into_iter().map(|(text, value)| Constant(format!("'{}'::{name}", text.replace('\'', "''")), value)).collect()
    };
    let texts = |list: &[&str]| list.iter().map(|t| ((*t).to_owned(), Scalar::Text((*t).to_owned()))).collect();
    match ty.base {
        oid::BOOL => of("bool", [true, false].map(|b| (b.to_string(), Scalar::Bool(b))).into()),
        oid::INT2 => of("int2", [7, 0, -1, i16::MAX, i16::MIN].map(|v| (v.to_string(), Scalar::Int2(v))).into()),
        oid::INT4 => of("int4", [2, 1, 0, 7, -1, 3, 100, i32::MAX, i32::MIN].map(|v| (v.to_string(), Scalar::Int4(v))).into()),
        oid::INT8 => of("int8", [7, 0, -1, i64::MAX, i64::MIN].map(|v| (v.to_string(), Scalar::Int8(v))).into()),
        oid::NUMERIC => of(
            "numeric",
            ["0.3", "0", "-1.5", "0.30", "1.005", "7", "0.305", "9999999999.99", "99999999999999999999.9999999999", "-0.0000000001", "NaN", "Infinity"]
                .map(|v| (v.to_owned(), Scalar::Numeric(v.to_owned())))
                .into(),
        ),
        oid::FLOAT4 => of("float4", [0.1_f32, 0.0, -1.5, 3.402_823_5e38].map(|v| (format!("{v:e}"), Scalar::Float4(v))).into()),
        oid::FLOAT8 => of(
            "float8",
            [
                (0.1, "0.1"),
                (0.0, "0"),
                (-1.5, "-1.5"),
                (1.797_693_134_862_315_7e308, "1.7976931348623157e308"),
                (f64::NAN, "NaN"),
                (f64::INFINITY, "Infinity"),
                (f64::NEG_INFINITY, "-Infinity"),
            ]
            .map(|(v, text)| (text.to_owned(), Scalar::Float8(v)))
            .into(),
        ),
        oid::TEXT => of(
            "text",
            texts(&[
                "apple",
                "a",
                "",
                " ",
                "a%",
                "A%",
                "%p_",
                "a\\%b\\_c",
                "\\_%",
                "%\\\\%",
                "%'%",
                "%\u{1f600}%",
                "_______",
                "apple ",
                "Apple",
                "é",
                "É",
                "%e\u{301}%",
                "p",
                "it's",
                "%\\n%",
                "ab",
            ]),
        ),
        oid::BPCHAR => of(
            "bpchar",
            vec![
                ("a".into(), Scalar::Text("a".into())),
                ("a  ".into(), Scalar::Text("a".into())),
                ("A".into(), Scalar::Text("A".into())),
                (String::new(), Scalar::Text(String::new())),
                ("é".into(), Scalar::Text("é".into())),
            ],
        ),
        oid::DATE => of(
            "date",
            vec![
                ("2024-02-29".into(), Scalar::Date(date(2024, 2, 29))),
                ("1999-12-31".into(), Scalar::Date(date(1999, 12, 31))),
                ("1900-01-01".into(), Scalar::Date(date(1900, 1, 1))),
                ("0001-01-01".into(), Scalar::Date(date(1, 1, 1))),
                ("9999-12-31".into(), Scalar::Date(date(9999, 12, 31))),
                ("10000-01-01".into(), Scalar::Date(date(10000, 1, 1))),
                ("0044-03-15 BC".into(), Scalar::Date(date(-43, 3, 15))),
                ("infinity".into(), Scalar::Date(i32::MAX)),
                ("-infinity".into(), Scalar::Date(i32::MIN)),
            ],
        ),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            let (name, zone) = if ty.base == oid::TIMESTAMP { ("timestamp", "") } else { ("timestamptz", "+00") };
            let at = |text: &str, value: i64| (format!("{text}{zone}"), Scalar::Timestamp(value));
            of(
                name,
                vec![
                    at("2024-02-29 12:34:56.789012", moment(2024, 2, 29, 45_296_789_012)),
                    at("1999-12-31 23:59:59", moment(1999, 12, 31, 86_399_000_000)),
                    at("2024-10-27 01:30:00", moment(2024, 10, 27, 5_400_000_000)),
                    at("1969-12-31 23:59:59.999999", -1),
                    at("1901-01-01 00:00:00", moment(1901, 1, 1, 0)),
                    at("0001-01-01 00:00:00", moment(1, 1, 1, 0)),
                    at("9999-12-31 23:59:59.999999", moment(9999, 12, 31, 86_399_999_999)),
                    (format!("0044-03-15 00:00:00{zone} BC"), Scalar::Timestamp(moment(-43, 3, 15, 0))),
                    ("infinity".into(), Scalar::Timestamp(i64::MAX)),
                    ("-infinity".into(), Scalar::Timestamp(i64::MIN)),
                ],
            )
        }
        _ => Vec::new(),
    }
}
