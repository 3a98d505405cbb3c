//! The type map: Postgres types that can be mirrored and shipped, and their Arrow form.
//!
//! Source of the OIDs: `pg_type.dat`; built-in OIDs are the same in every release.

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A Postgres type as the analyser knows it. `base` is the OID with domains and enums resolved to what they are stored as:
/// equal to `oid` for built-in types, [`oid::ENUM`] for an enum, [`oid::ENUM_ARRAY`] for an array of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PgType {
    pub oid: u32,
    pub base: u32,
    /// -1 if none.
    pub typmod: i32,
}

/// OIDs of the types that pg_weir knows.
pub mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const CIDR: u32 = 650;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const MACADDR: u32 = 829;
    pub const INET: u32 = 869;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const ANYENUM: u32 = 3500;
    /// Not a type of a column: the `base` of every enum.
    pub const ENUM: u32 = ANYENUM;
    /// Not a type of a column either: the `base` of every array of enums. It is the number of `enum_out`; no two entries of the system catalogs
    /// have the same.
    pub const ENUM_ARRAY: u32 = 3507;
    pub const JSONB: u32 = 3802;

    /// (array type, element type) of the types above.
    pub const ARRAYS: &[(u32, u32)] = &[
        (1000, BOOL),
        (1001, BYTEA),
        (1016, INT8),
        (1005, INT2),
        (1007, INT4),
        (1009, TEXT),
        (199, JSON),
        (1021, FLOAT4),
        (1022, FLOAT8),
        (1014, BPCHAR),
        (1015, VARCHAR),
        (1182, DATE),
        (1183, TIME),
        (1115, TIMESTAMP),
        (1185, TIMESTAMPTZ),
        (1187, INTERVAL),
        (1231, NUMERIC),
        (2951, UUID),
        (651, CIDR),
        (1040, MACADDR),
        (1041, INET),
        (3807, JSONB),
        (ENUM_ARRAY, ENUM),
    ];
}

impl PgType {
    pub const BOOL: PgType = PgType::new(oid::BOOL);
    pub const INT2: PgType = PgType::new(oid::INT2);
    pub const INT4: PgType = PgType::new(oid::INT4);
    pub const INT8: PgType = PgType::new(oid::INT8);
    pub const INT4_ARRAY: PgType = PgType::new(1007);
    pub const FLOAT4: PgType = PgType::new(oid::FLOAT4);
    pub const FLOAT8: PgType = PgType::new(oid::FLOAT8);
    pub const NUMERIC: PgType = PgType::new(oid::NUMERIC);
    pub const TEXT: PgType = PgType::new(oid::TEXT);
    pub const DATE: PgType = PgType::new(oid::DATE);
    pub const TIMESTAMP: PgType = PgType::new(oid::TIMESTAMP);
    pub const TIMESTAMPTZ: PgType = PgType::new(oid::TIMESTAMPTZ);
    pub const INTERVAL: PgType = PgType::new(oid::INTERVAL);

    /// A built-in type without a type modifier.
    pub const fn new(oid: u32) -> Self {
        Self { oid, base: oid, typmod: -1 }
    }

    pub const fn with_typmod(oid: u32, typmod: i32) -> Self {
        Self { oid, base: oid, typmod }
    }

    /// A numeric column whose values are the bytes that Postgres stores, of which every numeric has some; nothing computes with them here. They come
    /// from one Postgres and go to another.
    pub const fn numeric_as_stored(typmod: i32) -> Self {
        Self { oid: oid::NUMERIC, base: oid::BYTEA, typmod }
    }

    pub const fn is_numeric_as_stored(&self) -> bool {
        self.oid == oid::NUMERIC && self.base == oid::BYTEA
    }

    /// A numeric column whose values are as they are printed, on their way to an engine that has every numeric.
    pub const fn numeric_as_printed(typmod: i32) -> Self {
        Self { oid: oid::NUMERIC, base: oid::TEXT, typmod }
    }

    pub const fn is_numeric_as_printed(&self) -> bool {
        self.oid == oid::NUMERIC && self.base == oid::TEXT
    }

    /// The element type if this is an array of a known type. Of an array of enums it is some enum: only the array's own `oid` says which.
    pub fn element(&self) -> Option<PgType> {
        oid::ARRAYS.iter().find(|(array, _)| *array == self.base).map(|&(_, e)| PgType::with_typmod(e, self.typmod))
    }

    /// Held as text (Utf8View): text, varchar, bpchar, name, json, jsonb, enums.
    pub fn is_text_like(&self) -> bool {
        matches!(self.base, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON | oid::JSONB | oid::ENUM)
    }

    /// Held as its output function prints it (Utf8View): values that print alike are equal, and the other way round.
    pub fn is_held_as_printed(&self) -> bool {
        matches!(self.base, oid::INET | oid::CIDR | oid::MACADDR)
    }

    /// text, varchar, bpchar, name: types whose comparison follows a collation.
    pub fn is_collatable(&self) -> bool {
        matches!(self.base, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME)
    }

    /// The precision and scale of `numeric(p, s)`; scale may be negative since release 15. `None` without a type modifier.
    /// Source: `make_numeric_typmod` in `numeric.c`.
    pub fn numeric_precision_scale(&self) -> Option<(i32, i32)> {
        if self.base != oid::NUMERIC || self.typmod < 4 {
            return None;
        }
        let t = self.typmod - 4;
        let scale = ((t & 0x7ff) ^ 1024) - 1024;
        Some(((t >> 16) & 0xffff, scale))
    }

    /// char(n) values of different lengths n, each of which is as long as it is written: no blanks were added to any.
    pub const UNPADDED: PgType = PgType::with_typmod(oid::BPCHAR, 4);

    /// The declared length of char(n) and varchar(n), in characters.
    pub fn char_length(&self) -> Option<usize> {
        match self.base {
            oid::BPCHAR | oid::VARCHAR if self.typmod >= 4 => usize::try_from(self.typmod - 4).ok(),
            _ => None,
        }
    }
}

/// Physical precision and scale of numerics whose display scale is not known beforehand.
pub const DYNAMIC_PRECISION: u8 = 76;
pub const DYNAMIC_SCALE: i8 = 36;

/// How a numeric column is held. `dynamic`: a second `Int16` column has each value's display scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumericForm {
    pub precision: u8,
    pub scale: i8,
    pub dynamic: bool,
}

impl NumericForm {
    pub const DYNAMIC: NumericForm = NumericForm { precision: DYNAMIC_PRECISION, scale: DYNAMIC_SCALE, dynamic: true };

    /// The form of a column of this type.
    pub fn of_column(ty: &PgType) -> NumericForm {
        match ty.numeric_precision_scale() {
            Some((p, s)) if (1..=76).contains(&p) && (0..=p).contains(&s) => NumericForm { precision: p as u8, scale: s as i8, dynamic: false },
            _ => NumericForm::DYNAMIC,
        }
    }

    pub fn data_type(&self) -> DataType {
        if self.precision <= 38 { DataType::Decimal128(self.precision, self.scale) } else { DataType::Decimal256(self.precision, self.scale) }
    }
}

/// The Arrow type of a value of this type; for numeric, that of a column declared with it (the value part). `None`: the type is
/// not supported, a column of it is left out of mirrors.
pub fn arrow_type(ty: &PgType) -> Option<DataType> {
    Some(match ty.base {
        oid::BOOL => DataType::Boolean,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8 | oid::OID => DataType::Int64,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        oid::NUMERIC => NumericForm::of_column(ty).data_type(),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON | oid::JSONB | oid::ENUM => DataType::Utf8View,
        _ if ty.is_held_as_printed() => DataType::Utf8View,
        oid::BYTEA => DataType::BinaryView,
        oid::UUID => DataType::FixedSizeBinary(16),
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(TimeUnit::Microsecond),
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => {
            let element = ty.element()?;
            // An array of numerics has one scale per element: held as the canonical text of each.
            let item = if element.base == oid::NUMERIC { DataType::Utf8View } else { arrow_type(&element)? };
            DataType::List(Arc::new(Field::new_list_field(item, true)))
        }
    })
}

/// Name of the physical column that holds the display scales of the dynamic numeric column `name`.
pub fn scale_column(name: &str) -> String {
    format!("{name}_s")
}

/// The physical Arrow fields of one logical column: one, or two for a numeric without declared scale.
pub fn column_fields(name: &str, ty: &PgType, nullable: bool) -> Option<Vec<Field>> {
    let mut fields = vec![Field::new(name, arrow_type(ty)?, nullable)];
    if ty.base == oid::NUMERIC && NumericForm::of_column(ty).dynamic {
        fields.push(Field::new(scale_column(name), DataType::Int16, true));
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_typmod_is_read_as_postgres_writes_it() {
        // numeric(15,2): ((15 << 16) | 2) + 4
        let ty = PgType::with_typmod(oid::NUMERIC, ((15 << 16) | 2) + 4);
        assert_eq!(ty.numeric_precision_scale(), Some((15, 2)));
        assert_eq!(arrow_type(&ty), Some(DataType::Decimal128(15, 2)));
        // numeric(3,-2)
        let negative = PgType::with_typmod(oid::NUMERIC, ((3 << 16) | (-2 & 0x7ff)) + 4);
        assert_eq!(negative.numeric_precision_scale(), Some((3, -2)));
        assert!(NumericForm::of_column(&negative).dynamic);
        assert_eq!(NumericForm::of_column(&PgType::NUMERIC), NumericForm::DYNAMIC);
    }

    #[test]
    fn an_array_of_enums_is_held_as_one_of_labels() {
        let ty = PgType { oid: 100_001, base: oid::ENUM_ARRAY, typmod: -1 };
        assert_eq!(ty.element().map(|e| e.base), Some(oid::ENUM));
        assert_eq!(arrow_type(&ty), arrow_type(&PgType::new(1009)));
        assert!(!ty.is_text_like());
    }

    #[test]
    fn unknown_types_are_not_supported() {
        assert_eq!(arrow_type(&PgType::new(600)), None);
    }
}
