//! What a Postgres function means, for dialects to spell: by `pg_proc` OID, as everywhere.
//!
//! Invariant: a function without a meaning here is pushed to no engine. A test checks that each has a row in `weir_plan::functions`.

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Cmp {
    pub fn sql(self) -> &'static str {
        match self {
            Cmp::Eq => "=",
            Cmp::Ne => "<>",
            Cmp::Lt => "<",
            Cmp::Le => "<=",
            Cmp::Gt => ">",
            Cmp::Ge => ">=",
        }
    }
}

/// What is compared, when both sides are of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Bool,
    Int,
    Numeric,
    /// Two values of float8.
    Float8,
    /// text, varchar: bytes count, trailing blanks too.
    Text,
    /// char(n): trailing blanks do not count.
    Bpchar,
    Bytes,
    Date,
    /// A date and a timestamp, in either order.
    DateTimestamp,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arith {
    Add,
    Sub,
    Mul,
}

impl Arith {
    pub fn sign(self) -> &'static str {
        match self {
            Arith::Add => "+",
            Arith::Sub => "-",
            Arith::Mul => "*",
        }
    }
}

/// Which part of a date or timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Compare(Cmp, Class),
    /// Of numerics, which cannot overflow in what fits.
    NumericArith(Arith),
    NumericNegate,
    /// Of an integer to a wider one.
    WidenInt,
    IntToNumeric,
    /// `text LIKE pattern`, `NOT LIKE`
    Like {
        negated: bool,
    },
    /// `extract(field FROM date)`
    ExtractDate,
    /// `extract(field FROM timestamp)`
    ExtractTimestamp,
    /// `substring(text, start, count)`
    Substring,
    /// `text(char(n))`: trailing blanks go.
    BpcharToText,
    /// date to timestamp
    DateToTimestamp,
}

/// What an aggregate means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggMeaning {
    CountStar,
    Count,
    /// Of int2, int4: bigint.
    SumSmallInt,
    /// Of int8: numeric.
    SumInt,
    SumNumeric,
    Min,
    Max,
    /// Of int2, int4.
    AvgSmallInt,
    AvgInt,
    AvgNumeric,
}

/// The meaning of a scalar function.
pub fn scalar(oid: u32) -> Option<Meaning> {
    if let Some((_, cmp, class)) = COMPARISONS.iter().find(|(o, _, _)| *o == oid) {
        return Some(Meaning::Compare(*cmp, *class));
    }
    Some(match oid {
        1724 => Meaning::NumericArith(Arith::Add),
        1725 => Meaning::NumericArith(Arith::Sub),
        1726 => Meaning::NumericArith(Arith::Mul),
        1771 => Meaning::NumericNegate,
        313 | 481 | 754 => Meaning::WidenInt,
        1740 | 1781 | 1782 => Meaning::IntToNumeric,
        850 | 1631 => Meaning::Like { negated: false },
        851 | 1632 => Meaning::Like { negated: true },
        6199 => Meaning::ExtractDate,
        6202 => Meaning::ExtractTimestamp,
        877 | 936 => Meaning::Substring,
        401 => Meaning::BpcharToText,
        2024 => Meaning::DateToTimestamp,
        _ => return None,
    })
}

/// The meaning of an aggregate.
pub fn aggregate(oid: u32) -> Option<AggMeaning> {
    Some(match oid {
        2803 => AggMeaning::CountStar,
        2147 => AggMeaning::Count,
        2108 | 2109 => AggMeaning::SumSmallInt,
        2107 => AggMeaning::SumInt,
        2114 => AggMeaning::SumNumeric,
        2115 | 2116 | 2117 | 2130 | 2122 | 2126 | 2127 | 2129 => AggMeaning::Max,
        2131 | 2132 | 2133 | 2146 | 2138 | 2142 | 2143 | 2145 => AggMeaning::Min,
        2101 | 2102 => AggMeaning::AvgSmallInt,
        2100 => AggMeaning::AvgInt,
        2103 => AggMeaning::AvgNumeric,
        _ => return None,
    })
}

/// OIDs used to take an average apart: (sum of int2/int4, sum of int8, sum of numeric, count, numeric(int8), numeric_div).
pub mod parts {
    pub const SUM_INT8: u32 = 2107;
    pub const SUM_INT4: u32 = 2108;
    pub const SUM_INT2: u32 = 2109;
    pub const SUM_NUMERIC: u32 = 2114;
    pub const COUNT: u32 = 2147;
    pub const INT8_GT: u32 = 470;
    pub const NUMERIC_OF_INT8: u32 = 1781;
    pub const NUMERIC_DIV: u32 = 1727;
}

const COMPARISONS: &[(u32, Cmp, Class)] = &[
    (60, Cmp::Eq, Class::Bool),
    (84, Cmp::Ne, Class::Bool),
    (63, Cmp::Eq, Class::Int),
    (145, Cmp::Ne, Class::Int),
    (64, Cmp::Lt, Class::Int),
    (148, Cmp::Le, Class::Int),
    (146, Cmp::Gt, Class::Int),
    (151, Cmp::Ge, Class::Int),
    (65, Cmp::Eq, Class::Int),
    (144, Cmp::Ne, Class::Int),
    (66, Cmp::Lt, Class::Int),
    (149, Cmp::Le, Class::Int),
    (147, Cmp::Gt, Class::Int),
    (150, Cmp::Ge, Class::Int),
    (467, Cmp::Eq, Class::Int),
    (468, Cmp::Ne, Class::Int),
    (469, Cmp::Lt, Class::Int),
    (471, Cmp::Le, Class::Int),
    (470, Cmp::Gt, Class::Int),
    (472, Cmp::Ge, Class::Int),
    (158, Cmp::Eq, Class::Int),
    (164, Cmp::Ne, Class::Int),
    (160, Cmp::Lt, Class::Int),
    (166, Cmp::Le, Class::Int),
    (162, Cmp::Gt, Class::Int),
    (168, Cmp::Ge, Class::Int),
    (159, Cmp::Eq, Class::Int),
    (165, Cmp::Ne, Class::Int),
    (161, Cmp::Lt, Class::Int),
    (167, Cmp::Le, Class::Int),
    (163, Cmp::Gt, Class::Int),
    (169, Cmp::Ge, Class::Int),
    (852, Cmp::Eq, Class::Int),
    (853, Cmp::Ne, Class::Int),
    (854, Cmp::Lt, Class::Int),
    (856, Cmp::Le, Class::Int),
    (855, Cmp::Gt, Class::Int),
    (857, Cmp::Ge, Class::Int),
    (474, Cmp::Eq, Class::Int),
    (475, Cmp::Ne, Class::Int),
    (476, Cmp::Lt, Class::Int),
    (478, Cmp::Le, Class::Int),
    (477, Cmp::Gt, Class::Int),
    (479, Cmp::Ge, Class::Int),
    (1850, Cmp::Eq, Class::Int),
    (1851, Cmp::Ne, Class::Int),
    (1852, Cmp::Lt, Class::Int),
    (1854, Cmp::Le, Class::Int),
    (1853, Cmp::Gt, Class::Int),
    (1855, Cmp::Ge, Class::Int),
    (1856, Cmp::Eq, Class::Int),
    (1857, Cmp::Ne, Class::Int),
    (1858, Cmp::Lt, Class::Int),
    (1860, Cmp::Le, Class::Int),
    (1859, Cmp::Gt, Class::Int),
    (1861, Cmp::Ge, Class::Int),
    (1718, Cmp::Eq, Class::Numeric),
    (1719, Cmp::Ne, Class::Numeric),
    (1722, Cmp::Lt, Class::Numeric),
    (1723, Cmp::Le, Class::Numeric),
    (1720, Cmp::Gt, Class::Numeric),
    (1721, Cmp::Ge, Class::Numeric),
    (293, Cmp::Eq, Class::Float8),
    (294, Cmp::Ne, Class::Float8),
    (295, Cmp::Lt, Class::Float8),
    (296, Cmp::Le, Class::Float8),
    (297, Cmp::Gt, Class::Float8),
    (298, Cmp::Ge, Class::Float8),
    (67, Cmp::Eq, Class::Text),
    (157, Cmp::Ne, Class::Text),
    (740, Cmp::Lt, Class::Text),
    (741, Cmp::Le, Class::Text),
    (742, Cmp::Gt, Class::Text),
    (743, Cmp::Ge, Class::Text),
    (1048, Cmp::Eq, Class::Bpchar),
    (1053, Cmp::Ne, Class::Bpchar),
    (1049, Cmp::Lt, Class::Bpchar),
    (1050, Cmp::Le, Class::Bpchar),
    (1051, Cmp::Gt, Class::Bpchar),
    (1052, Cmp::Ge, Class::Bpchar),
    (1086, Cmp::Eq, Class::Date),
    (1091, Cmp::Ne, Class::Date),
    (1087, Cmp::Lt, Class::Date),
    (1088, Cmp::Le, Class::Date),
    (1089, Cmp::Gt, Class::Date),
    (1090, Cmp::Ge, Class::Date),
    (2052, Cmp::Eq, Class::Timestamp),
    (2053, Cmp::Ne, Class::Timestamp),
    (2054, Cmp::Lt, Class::Timestamp),
    (2055, Cmp::Le, Class::Timestamp),
    (2057, Cmp::Gt, Class::Timestamp),
    (2056, Cmp::Ge, Class::Timestamp),
    (2340, Cmp::Eq, Class::DateTimestamp),
    (2343, Cmp::Ne, Class::DateTimestamp),
    (2338, Cmp::Lt, Class::DateTimestamp),
    (2339, Cmp::Le, Class::DateTimestamp),
    (2341, Cmp::Gt, Class::DateTimestamp),
    (2342, Cmp::Ge, Class::DateTimestamp),
    (2366, Cmp::Eq, Class::DateTimestamp),
    (2369, Cmp::Ne, Class::DateTimestamp),
    (2364, Cmp::Lt, Class::DateTimestamp),
    (2365, Cmp::Le, Class::DateTimestamp),
    (2367, Cmp::Gt, Class::DateTimestamp),
    (2368, Cmp::Ge, Class::DateTimestamp),
    (1152, Cmp::Eq, Class::Timestamptz),
    (1153, Cmp::Ne, Class::Timestamptz),
    (1154, Cmp::Lt, Class::Timestamptz),
    (1155, Cmp::Le, Class::Timestamptz),
    (1157, Cmp::Gt, Class::Timestamptz),
    (1156, Cmp::Ge, Class::Timestamptz),
];

#[cfg(test)]
mod tests {
    use weir_plan::functions::row;

    #[test]
    fn every_meaning_has_a_row_of_the_same_function() {
        for (oid, cmp, class) in super::COMPARISONS {
            let name = row(*oid).unwrap_or_else(|| panic!("no row for {oid}")).name;
            let op = format!("{cmp:?}").to_lowercase();
            let of = name.split('(').next().unwrap_or("");
            if *class == super::Class::DateTimestamp {
                let both = [format!("date_{op}_timestamp"), format!("timestamp_{op}_date")];
                assert!(both.contains(&of.to_owned()), "{oid} is {name}, not {op}");
                continue;
            }
            assert!(of.ends_with(&op), "{oid} is {name}, not {op}");
            let class = match class {
                super::Class::Bool => "bool",
                super::Class::Int => "int",
                super::Class::Numeric => "numeric",
                super::Class::Float8 => "float8",
                super::Class::Text => "text",
                super::Class::Bpchar => "bpchar",
                super::Class::Date => "date",
                super::Class::Timestamp => "timestamp_",
                super::Class::Timestamptz => "timestamptz_",
                other => panic!("{other:?} has no names"),
            };
            assert!(of.starts_with(class), "{oid} is {name}, not of {class}");
        }
        for oid in (0..7000).filter(|o| super::scalar(*o).is_some() || super::aggregate(*o).is_some()) {
            assert!(row(oid).is_some(), "no row for {oid}");
        }
    }
}
